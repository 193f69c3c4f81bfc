#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.hpp"
#include "smtp/capabilities.hpp"
#include "smtp/command.hpp"
#include "smtp/dot.hpp"
#include "smtp/reply.hpp"

// The caller's half of the socket of `odmr submit`: a small SMTP client that blocks. It needs neither an event loop nor
// TLS, so that a program which only hands mail in starts fast.
namespace odmr::submit {

/// Why a message was not taken.
struct HandInFailure {
  int exit = 0;  ///< sysexits: 65 the message, 67 a recipient, 69 anything else refused; 75 later; 77 the socket is not
                 ///< for us; 78 its name cannot be one
  std::string text;
};
template <class T = void>
using HandedIn = tl::expected<T, HandInFailure>;

struct HandInPatience {
  std::chrono::seconds reply{300};  ///< RFC 5321 4.5.3.2
  std::chrono::seconds final{600};  ///< to the final dot
};

class HandIn {
 public:
  /// Connects and waits for the greeting.
  static HandedIn<HandIn> connect(const std::string& path, const HandInPatience& patience = {});

  /// What the server calls itself; empty where that is no name.
  const std::string& server_name() const { return server_name_; }

  struct Letter {
    smtp::Path reverse_path;
    std::vector<smtp::Mailbox> recipients;
    smtp::MailOptions options;  ///< asked for where offered
    bool must_be_utf8 = false;  ///< an address needs SMTPUTF8: without it nothing goes
  };
  /// EHLO as `name`, the envelope, DATA. All recipients are taken, or nothing is sent.
  HandedIn<> begin(const std::string& name, const Letter& letter);
  /// The next bytes of the message, with CRLF line ends.
  HandedIn<> write(std::string_view piece);
  /// The final dot; gives the server's words when it has taken the message. Without it, the server has nothing.
  HandedIn<std::string> end();

 private:
  enum class Step { greeting, hello, mail, recipient, data, content };

  HandIn(Descriptor socket, const HandInPatience& patience) : socket_(std::move(socket)), patience_(patience) {}
  HandedIn<> hello(const std::string& name);
  HandedIn<> recipients(const std::vector<smtp::Mailbox>& recipients);
  HandedIn<> rejected(Step step, const smtp::Reply& reply, const std::string& about = {});
  HandedIn<> say(std::string_view bytes);
  HandedIn<smtp::Reply> reply();
  HandedIn<smtp::Reply> ask(const Result<std::string>& line);
  void wait_at_most(std::chrono::seconds time) const;

  Descriptor socket_;
  HandInPatience patience_;
  std::string server_name_;
  smtp::Capabilities capabilities_;
  smtp::DotEncoder encoder_;
  std::string unread_;  // replies of a group that have come already
};

/// `sendmail -bs` for whoever may not write the queue: the bytes of a conversation as they are, from `in` to the socket
/// and back to `out`, until the server ends it.
HandedIn<> pass_on(const std::string& path, int in, int out);

}  // namespace odmr::submit
