#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "collect/mailbox.hpp"
#include "collect/open.hpp"
#include "collect/wire.hpp"
#include "pop3/answer.hpp"
#include "smtp/dot.hpp"

namespace odmr::collect {

/// A maildrop (RFC 1939), logged in.
class Pop3Mailbox final : public Mailbox {
 public:
  struct Begun {
    std::unique_ptr<Pop3Mailbox> mailbox;
    std::string mechanism;
  };
  /// From the greeting to the login. `wire` must be connected.
  static net::Task<tl::expected<Begun, client::OpenFailure>> begin(std::unique_ptr<Wire> wire,
                                                                   const client::OnStep* on_step);

  Pop3Mailbox(std::unique_ptr<Wire> wire, bool can_pipeline);

  std::string with() const override;
  std::string name() const override;
  std::string greeting() const override { return {}; }
  net::Task<Result<void>> list(bool unseen_only, bool wants_sizes,
                               const std::function<Result<void>(Listed&&)>& see) override;
  net::Task<Result<void>> add_sizes(std::vector<Listed>& messages) override;
  void ask_for(const Listed& message) override;
  net::Task<Result<bool>> begin() override;
  net::Task<Result<bool>> read(std::string& into) override;
  void remove(const Listed& message) override;
  void mark_seen(const Listed& /*message*/) override {}
  net::Task<Result<void>> send() override;
  net::Task<Result<void>> close() override;
  void interrupt() override { wire_->stream().interrupt(); }
  void leave() override { wire_->stream().close(); }
  std::string peer() const override { return wire_->stream().peer(); }
  std::string tls() const override;

 private:
  // A command, and its answer.
  struct Step {
    enum class Kind { retrieve, remove };
    Kind kind = Kind::retrieve;
    std::uint32_t number = 0;
  };

  struct Answered {
    Step::Kind kind = Step::Kind::retrieve;
    bool is_ok = false;
  };

  net::Task<Result<pop3::Status>> read_status();
  net::Task<Result<Answered>> next_answer();
  net::Task<Result<std::vector<pop3::Listed>>> read_sizes();
  net::Task<Result<void>> read_names(const std::vector<pop3::Listed>& sizes,
                                     const std::function<Result<void>(Listed&&)>& see);
  void note_removed(const Step& step, const pop3::Status& status);

  std::unique_ptr<Wire> wire_;
  const std::size_t most_under_way_;
  std::deque<Step> queued_;
  std::deque<Step> under_way_;
  smtp::DotDecoder decoder_;
  bool is_inside_ = false;  // of a message
  bool has_ended_ = false;  // it has come to its end
};

}  // namespace odmr::collect
