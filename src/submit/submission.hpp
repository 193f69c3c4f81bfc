#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/log.hpp"
#include "intake/caller.hpp"
#include "intake/limits.hpp"
#include "net/worker.hpp"
#include "server/mail_session.hpp"
#include "spool/store.hpp"

namespace odmr::submit {

struct SubmissionOptions {
  std::string hostname;
  intake::Limits limits;
  /// What the queue's disk has left. A message that would leave less than `spare` is not begun.
  std::function<Result<std::uint64_t>()> free_space;
  std::uint64_t spare = std::uint64_t{1} * 1024 * 1024;
};

/// The handler of a local program's session: puts each message into the queue. The 250 after the dot is given when the
/// message is on disk, and not before; while it gets there, other sessions go on.
class Submission final : public intake::CallerHandler {
 public:
  /// A store of its own, a copy: commits run on `disk`, and a Store is for one thread at a time.
  Submission(const SubmissionOptions& options, intake::Caller caller, spool::Store store, net::Worker& disk,
             Clock& clock, Log& log);
  ~Submission() override;

  net::Task<smtp::Reply> on_mail(const smtp::MailCommand& mail, const server::Hello& hello) override;
  net::Task<smtp::Reply> on_rcpt(const smtp::RcptCommand& rcpt) override;
  net::Task<std::optional<smtp::Reply>> on_data() override;
  net::Task<> on_content(std::string_view piece) override;
  net::Task<server::Answer> on_end(server::ContentEnd end, server::Peer& peer) override;
  net::Task<> on_abandon() override;

 private:
  struct Message;

  void give_up(const smtp::Reply& reply);
  smtp::Reply refusal(const Error& error);
  net::Task<smtp::Reply> commit(std::uint64_t size);

  const SubmissionOptions& options_;
  spool::Store store_;
  net::Worker& disk_;
  Clock& clock_;
  std::unique_ptr<Message> message_;
};

}  // namespace odmr::submit
