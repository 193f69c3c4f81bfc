#include "submit/hand_in.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/ascii.hpp"

namespace odmr::submit {

namespace {

using smtp::Reply;

// Commands of one group (RFC 2920): never so many that both sides could wait for each other's full buffers.
constexpr std::size_t k_group = 64;

tl::unexpected<HandInFailure> failed(int exit, std::string text) {
  return tl::unexpected(HandInFailure{exit, std::move(text)});
}

tl::unexpected<HandInFailure> not_reached(const std::string& path, int error) {
  const std::string why = path + ": " + std::strerror(error);
  if (error == EACCES || error == EPERM) return failed(EX_NOPERM, "this user may not hand in mail at " + why);
  if (error == ENOENT || error == ECONNREFUSED) {
    return failed(EX_TEMPFAIL,
                  "nothing takes mail at " + why +
                      "; start it (systemctl enable --now odmr-submit.socket, or \"odmr submit\"), or name "
                      "its socket in $ODMR_SUBMIT");
  }
  return failed(EX_TEMPFAIL, "mail cannot be handed in at " + why);
}

HandedIn<Descriptor> connected(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path) || path.find('\0') != std::string::npos) {
    return failed(EX_CONFIG, "the socket \"" + escape(path, 200) + "\" has a name that no socket can have");
  }
  path.copy(address.sun_path, path.size());
  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.is_open()) return failed(EX_OSERR, std::string("no socket: ") + std::strerror(errno));
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return not_reached(path, errno);
  }
  return socket;
}

int exit_for(const Reply& reply, bool is_recipient, bool is_content) {
  if (!reply.is_permanent()) return EX_TEMPFAIL;
  if (is_recipient) return EX_NOUSER;
  return is_content || reply.code == 552 ? EX_DATAERR : EX_UNAVAILABLE;
}

}  // namespace

HandedIn<HandIn> HandIn::connect(const std::string& path, const HandInPatience& patience) {
  auto socket = connected(path);
  if (!socket) return tl::unexpected(socket.error());
  HandIn conversation(std::move(*socket), patience);
  conversation.wait_at_most(patience.reply);
  const auto greeting = conversation.reply();
  if (!greeting) return tl::unexpected(greeting.error());
  if (!greeting->is_positive()) return tl::unexpected(conversation.rejected(Step::greeting, *greeting).error());
  const std::string& words = greeting->lines.front();
  const std::string name = words.substr(0, words.find(' '));
  if (smtp::is_ehlo_name(name)) conversation.server_name_ = name;
  return conversation;
}

HandedIn<> HandIn::begin(const std::string& name, const Letter& letter) {
  if (auto greeted = hello(name); !greeted) return greeted;
  smtp::MailOptions options = letter.options;
  if (!capabilities_.has("SMTPUTF8")) {
    if (letter.must_be_utf8) return failed(EX_UNAVAILABLE, "an address is not ASCII, and the server takes none such");
    options.smtputf8 = false;
  }
  if (!capabilities_.has("8BITMIME")) options.body = smtp::BodyType::unspecified;
  if (!capabilities_.has("SIZE")) options.size.reset();
  const auto mail = ask(smtp::mail_line(letter.reverse_path, options));
  if (!mail) return tl::unexpected(mail.error());
  if (!mail->is_positive()) return rejected(Step::mail, *mail);
  if (auto taken = recipients(letter.recipients); !taken) return taken;
  // Not in one group with the recipients: once the server has said 354, there is no way back but to hang up.
  const auto data = ask(smtp::command_line("DATA"));
  if (!data) return tl::unexpected(data.error());
  if (data->code != 354) return rejected(Step::data, *data);
  return {};
}

HandedIn<> HandIn::hello(const std::string& name) {
  const auto reply = ask(smtp::command_line("EHLO " + (smtp::is_ehlo_name(name) ? name : std::string("localhost"))));
  if (!reply) return tl::unexpected(reply.error());
  if (!reply->is_positive()) return rejected(Step::hello, *reply);
  capabilities_ = smtp::Capabilities::from(*reply);
  return {};
}

HandedIn<> HandIn::recipients(const std::vector<smtp::Mailbox>& recipients) {
  const std::size_t most = capabilities_.has("PIPELINING") ? k_group : 1;
  for (std::size_t begin = 0; begin < recipients.size(); begin += most) {
    const std::size_t end = std::min(begin + most, recipients.size());
    std::string group;
    for (std::size_t i = begin; i < end; ++i) {
      const auto line = smtp::rcpt_line(recipients[i]);
      if (!line) return failed(EX_DATAERR, line.error().text);
      group += *line;
    }
    if (auto said = say(group); !said) return said;
    for (std::size_t i = begin; i < end; ++i) {
      const auto answer = reply();
      if (!answer) return tl::unexpected(answer.error());
      if (!answer->is_positive()) return rejected(Step::recipient, *answer, " <" + recipients[i].text() + ">");
    }
  }
  return {};
}

HandedIn<> HandIn::write(std::string_view piece) {
  std::string encoded;
  encoder_.encode(piece, encoded);
  auto said = say(encoded);
  if (said) return said;
  // A server that hangs up in the middle may have said why.
  const auto answer = reply();
  return answer && !answer->is_positive() ? rejected(Step::content, *answer) : said;
}

HandedIn<std::string> HandIn::end() {
  std::string dot;
  encoder_.finish(dot);
  if (auto said = say(dot); !said) return tl::unexpected(said.error());
  wait_at_most(patience_.final);
  const auto answer = reply();
  if (!answer) {
    return failed(answer.error().exit, answer.error().text + "; whether the message was taken is not known");
  }
  if (!answer->is_positive()) return tl::unexpected(rejected(Step::content, *answer).error());
  static_cast<void>(say("QUIT\r\n"));
  return answer->joined();
}

// Ends the conversation, politely, with nothing handed in.
HandedIn<> HandIn::rejected(Step step, const Reply& reply, const std::string& about) {
  constexpr std::array<const char*, 6> steps{"the server",    "the server",  "the sender",
                                             "the recipient", "the message", "the message"};
  static_cast<void>(say("QUIT\r\n"));
  const std::string what = steps.at(static_cast<std::size_t>(step)) + escape(about);
  const bool is_server = step == Step::greeting || step == Step::hello;
  const int exit = is_server ? EX_TEMPFAIL : exit_for(reply, step == Step::recipient, step == Step::content);
  const std::string how = is_server              ? " does not take mail now: "
                          : reply.is_permanent() ? " is refused: "
                                                 : " is put off: ";
  return failed(exit, what + how + escape(reply.joined()));
}

HandedIn<> HandIn::say(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return failed(EX_TEMPFAIL, std::string("the server has gone: ") + std::strerror(errno));
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

HandedIn<Reply> HandIn::ask(const Result<std::string>& line) {
  if (!line) return failed(EX_DATAERR, line.error().text);
  if (auto said = say(*line); !said) return tl::unexpected(said.error());
  return reply();
}

HandedIn<Reply> HandIn::reply() {
  smtp::ReplyParser parser;
  for (;;) {
    auto progress = parser.feed(unread_);
    if (!progress) return failed(EX_PROTOCOL, "the server breaks the protocol: " + progress.error().text);
    unread_.erase(0, progress->consumed);
    if (progress->reply) return std::move(*progress->reply);
    std::array<char, 4096> piece{};
    const ssize_t got = ::recv(socket_.get(), piece.data(), piece.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return failed(EX_TEMPFAIL, "the server does not answer");
    if (got < 0) return failed(EX_TEMPFAIL, std::string("the server has gone: ") + std::strerror(errno));
    if (got == 0) return failed(EX_TEMPFAIL, "the server has hung up");
    unread_.append(piece.data(), static_cast<std::size_t>(got));
  }
}

void HandIn::wait_at_most(std::chrono::seconds time) const {
  timeval patience{};
  patience.tv_sec = time.count();
  static_cast<void>(::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)));
  static_cast<void>(::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)));
}

namespace {

// Bytes on their way from one descriptor to another.
struct Flow {
  int from;
  int to;
  std::string held;
  bool is_over = false;
  std::string last = {};  // bytes of all, enough for a reply of one line

  static constexpr std::size_t k_last = 512;
  // At most a pipe's worth: such a write does not block once poll() has said that there is room.
  static constexpr std::size_t k_most = 4096;

  pollfd wish() const {
    if (!held.empty()) return {to, POLLOUT, 0};
    return {is_over ? -1 : from, POLLIN, 0};
  }

  bool move() {
    if (held.empty()) {
      std::array<char, k_most> piece{};
      const ssize_t got = ::read(from, piece.data(), piece.size());
      if (got < 0) return errno == EINTR || errno == EAGAIN;
      is_over = got == 0;
      held.assign(piece.data(), static_cast<std::size_t>(got));
      last = (last + held).substr(last.size() + held.size() - std::min(last.size() + held.size(), k_last));
      return true;
    }
    const ssize_t put = ::write(to, held.data(), held.size());
    if (put < 0) return errno == EINTR || errno == EAGAIN;
    held.erase(0, static_cast<std::size_t>(put));
    return true;
  }
};

}  // namespace

HandedIn<> pass_on(const std::string& path, int in, int out) {
  const auto socket = connected(path);
  if (!socket) return tl::unexpected(socket.error());
  Flow there{in, socket->get(), {}, false};
  Flow back{socket->get(), out, {}, false};
  while (!back.is_over) {
    std::array<pollfd, 2> wishes{there.wish(), back.wish()};
    if (::poll(wishes.data(), wishes.size(), -1) < 0 && errno != EINTR) {
      return failed(EX_OSERR, std::string("poll: ") + std::strerror(errno));
    }
    if (wishes[0].revents != 0 && !there.move()) there = {-1, -1, {}, true};
    if (there.is_over && there.held.empty()) static_cast<void>(::shutdown(socket->get(), SHUT_WR));
    if (wishes[1].revents != 0 && !back.move()) return failed(EX_IOERR, "the conversation broke off");
  }
  // 221 is the end that the caller asked for.
  const auto line = back.last.size() < 2 ? std::string::npos : back.last.rfind('\n', back.last.size() - 2);
  if (!std::string_view(back.last).substr(line == std::string::npos ? 0 : line + 1).starts_with("221")) {
    return failed(EX_TEMPFAIL, "the server has ended the conversation");
  }
  return {};
}

}  // namespace odmr::submit
