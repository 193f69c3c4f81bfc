#pragma once

#include <asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "net/worker.hpp"
#include "provider/call_book.hpp"

namespace odmr::app {

/// Writes down what customers do (provider::CallBook), in a thread of its own, behind what happens: no line waits for
/// it. Where that cannot be done one line of the log says so, and mail goes its way.
class CallRecorder final : public provider::CallListener {
 public:
  /// What is given must outlive it.
  CallRecorder(const std::string& spool, asio::io_context& loop, Clock& clock, Log& log);
  ~CallRecorder() override;
  CallRecorder(const CallRecorder&) = delete;
  CallRecorder& operator=(const CallRecorder&) = delete;

  void on_call(const provider::Call& call) override;
  void on_call_over(const provider::Call& call) override;
  void on_refused_login(const std::string& address) override;

  /// Has `look` called in that thread, with the book; null where there is none.
  net::Task<> look(std::function<void(provider::CallBook*)> look);

 private:
  void add(provider::CallEvent event);
  net::Task<> write();
  void note();

  std::string spool_;
  asio::io_context& loop_;
  Clock& clock_;
  Log& log_;
  std::optional<provider::CallBook> book_;
  std::vector<provider::CallEvent> pending_;
  std::vector<provider::CallEvent> in_hand_;  // of the thread, until it is written
  Result<void> noted_;
  bool is_writing_ = false;
  bool has_failed_ = false;  // said once
  std::unique_ptr<net::Worker> worker_;
};

}  // namespace odmr::app
