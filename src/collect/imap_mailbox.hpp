#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "collect/mailbox.hpp"
#include "collect/open.hpp"
#include "collect/wire.hpp"
#include "imap/fetch.hpp"
#include "imap/response.hpp"

namespace odmr::collect {

/// What an IMAP server says, response by response.
class ImapWire {
 public:
  explicit ImapWire(std::unique_ptr<Wire> wire) : wire_(std::move(wire)) {}

  /// The next response; of FETCH its first line alone. Its text stays until the next step. Errors: malformed, closed
  /// (BYE; the text has the server's words), and those of the stream.
  net::Task<Result<imap::Response>> read();
  /// The same where `numbers` takes what SEARCH found.
  net::Task<Result<imap::Response>> read(std::vector<std::uint32_t>& numbers);
  /// What follows a literal of a FETCH response.
  net::Task<Result<std::string>> read_rest();
  /// So many octets of a literal, and nothing is made of them.
  net::Task<Result<void>> skip(std::uint64_t octets);

  /// Sends a command, `text` without tag and CRLF, and gives its tag.
  net::Task<Result<std::string>> send(std::string text, std::string shown = {});
  /// Reads on until that command has its answer. BYE is no error behind LOGOUT.
  net::Task<Result<imap::Response>> answer_to(const std::string& tag,
                                              const std::function<void(const imap::Response&)>& see);
  net::Task<Result<imap::Response>> ask(std::string text, const std::function<void(const imap::Response&)>& see = {});
  std::string next_tag() { return "a" + std::to_string(++tags_); }
  void expect_bye() { expects_bye_ = true; }

  Wire& wire() const { return *wire_; }

 private:
  net::Task<Result<void>> search_ended(std::vector<std::uint32_t>& numbers);

  std::unique_ptr<Wire> wire_;
  std::string line_;  // of the response that was read last
  std::uint64_t tags_ = 0;
  bool expects_bye_ = false;
};

/// A folder that is selected (RFC 3501).
class ImapMailbox final : public Mailbox {
 public:
  struct Begun {
    std::unique_ptr<ImapMailbox> mailbox;
    std::string mechanism;
  };
  /// From the greeting to the folder. `wire` must be connected.
  static net::Task<tl::expected<Begun, client::OpenFailure>> begin(std::unique_ptr<Wire> wire, const Place& place,
                                                                   const client::OnStep* on_step);

  /// What SELECT has told, and what the server can.
  struct Selected {
    std::string folder;
    std::optional<std::uint32_t> validity;  ///< none: UIDs do not last
    std::uint32_t exists = 0;
    bool has_uid_expunge = false;  ///< RFC 4315
  };
  ImapMailbox(ImapWire wire, Selected selected);

  std::string with() const override;
  std::string name() const override;
  std::string greeting() const override;
  net::Task<Result<void>> list(bool unseen_only, bool wants_sizes,
                               const std::function<Result<void>(Listed&&)>& see) override;
  net::Task<Result<void>> add_sizes(std::vector<Listed>& messages) override;
  void ask_for(const Listed& message) override;
  net::Task<Result<bool>> begin() override;
  net::Task<Result<bool>> read(std::string& into) override;
  void remove(const Listed& message) override;
  void mark_seen(const Listed& message) override;
  net::Task<Result<void>> send() override;
  net::Task<Result<void>> close() override;
  void interrupt() override { wire_.wire().stream().interrupt(); }
  void leave() override { wire_.wire().stream().close(); }
  std::string peer() const override;
  std::string tls() const override;

 private:
  // A command, and its answer.
  struct Step {
    enum class Kind { fetch, store };
    Kind kind = Kind::fetch;
    std::uint32_t uid = 0;
    std::string text;  // of the command
    std::string tag = {};
    bool has_come = false;  // the message that was asked for
  };

  net::Task<Result<std::vector<std::uint32_t>>> search(std::string criteria);
  net::Task<Result<void>> fetch_sizes(std::string set, const std::function<void(std::uint32_t, std::uint64_t)>& see);
  net::Task<Result<std::optional<imap::FetchItems::Next>>> read_items(imap::FetchItems& items, std::string line);
  net::Task<Result<std::optional<bool>>> take(const imap::Response& response);
  net::Task<Result<std::optional<bool>>> begin_message(std::string line);
  void end_step(const imap::Response& response);
  net::Task<Result<void>> finish_items();
  net::Task<Result<void>> drain();
  net::Task<Result<void>> expunge();

  ImapWire wire_;
  const Selected selected_;
  std::deque<Step> queued_;
  std::deque<Step> under_way_;
  std::vector<std::uint32_t> removed_;
  std::uint32_t inside_ = 0;  // the message whose content is being read
  imap::FetchItems items_;    // its response
  std::uint64_t left_ = 0;    // of its literal
  std::string quoted_;        // where it came as a quoted string
};

}  // namespace odmr::collect
