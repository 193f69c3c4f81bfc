#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "../pure/temporary_directory.hpp"
#include "client/open.hpp"
#include "net/memory.hpp"
#include "provider/held_in_directory.hpp"
#include "provider/push.hpp"
#include "provider/session.hpp"
#include "recorded_log.hpp"
#include "server/mail_session.hpp"

namespace odmr::test {

/// Everything that went through the first end of a line, as it read it.
struct Incoming {
  std::string bytes;
};

/// The real files, never synced.
FileOps& unsynced();

class MailServer;

/// The servers that odmrd connects to.
class Outside final : public net::Network {
 public:
  explicit Outside(net::Simulation& simulation) : simulation_(simulation) {}
  Clock& clock() override { return simulation_; }
  net::Task<Result<net::Stream>> connect(const net::Endpoint& endpoint, Duration patience, Stop& stop) override;

  net::Task<Result<std::vector<std::string>>> mail_exchangers(const std::string& domain, Duration patience,
                                                              Stop& stop) override;

  std::map<std::string, std::vector<std::string>> exchangers;  ///< by domain; others take no mail
  std::map<std::string, MailServer*> servers;                  ///< by "HOST:PORT"; others refuse the connection
  std::vector<std::string> connected;  ///< in the order of connections, those that were refused too
  server::MailSessionOptions session;  ///< of each of them
  net::Faults faults;                  ///< of their ends

 private:
  net::Simulation& simulation_;
};

/// A provider with two customers, in clear: "example" (user example.org, password "secret": example.org, example.com)
/// and "other" (user other.example, password "another": other.example). Its spool is a real directory.
struct House {
  /// `is_told`: by the kernel, of what comes into the spool. To give that up takes the system a while, each time.
  explicit House(FileOps& files = system_files(), bool is_told = false);

  /// Puts a message for `recipients` into the spool; gives its id.
  std::string put(const std::string& reverse_path, const std::vector<std::string>& recipients,
                  const std::string& subject, spool::Attributes attributes = {});
  /// Ids in a folder, in the order of arrival.
  std::vector<std::string> ids(provider::Folder folder) const;
  std::size_t held() const { return ids(provider::Folder::held).size(); }
  /// Changes each customer; sessions that begin from now on see it.
  void accounts_of(const std::function<void(provider::Customer&)>& change);
  /// As after a restart of the daemon. Throws where the spool cannot be opened.
  void reopen();
  /// Begins a session on a new line and gives the customer's end of it.
  net::Stream connect(const provider::Door& door, net::Faults faults = {});
  net::Stream connect() { return connect(clear); }
  bool logged(const std::string& words) const { return log.text.find(words) != std::string::npos; }

  TemporaryDirectory directory;
  FileOps* files;  ///< under the daemon; looked at by reopen()
  bool is_told;    ///< by the kernel, of what comes into the spool
  std::shared_ptr<provider::Customers> customers;
  std::unique_ptr<net::Worker> disk;
  Outside outside{simulation};
  std::shared_ptr<provider::WayOut> way_out;  ///< to "smart.example.net:25"; null: none
  RecordedLog log;
  std::unique_ptr<provider::HeldInDirectory> mail;
  std::unique_ptr<provider::Provider> provider;
  provider::Door clear{provider::DoorTls::none, nullptr};
  Stop stop;
  std::shared_ptr<Incoming> incoming;     ///< of the session begun last: what we have read
  std::shared_ptr<net::Traffic> traffic;  ///< likewise
  std::size_t sessions_over = 0;
  net::Simulation simulation;  // last: its conversations look at all the others
};

/// How a customer logs in.
struct Account {
  std::string user = "example.org";
  std::string password = "secret";
  std::vector<sasl::Mechanism> filter;
};

/// Says one chunk after the other and hears a reply to each, greeting first; "closed" where the provider ends it. Some
/// chunks are acts: "LOGIN" (as `account`), "TLS" (the handshake, nothing heard), "HEAR" (a further reply), "5m"
/// (waits).
std::vector<std::string> converse(House& house, const provider::Door& door, const std::vector<std::string>& chunks,
                                  const Account& account = {}, std::shared_ptr<net::TlsContext> tls = nullptr);

/// The same in clear text as "example": what is heard after the login.
using Replies = std::vector<std::string>;
Replies after_login(House& house, std::vector<std::string> chunks);

/// What a customer's server offers: nothing beyond DATA; CHUNKING, which is not used, since it would have twice what is
/// under way when the line breaks; CHUNKING and XONCE, and several messages are under way at once.
enum class Manner { data, chunks, pipeline };

/// The customer's own server.
class MailServer final : public server::MailHandler {
 public:
  struct Message {
    std::string reverse_path;
    std::vector<std::string> recipients;
    std::string content;
    std::string subject() const;
  };

  std::map<std::string, smtp::Reply> recipients;  ///< by address; others are taken
  std::map<std::string, smtp::Reply> subjects;    ///< at the final dot; others are taken
  std::function<void(const Message&)> on_taken;   ///< before the 250
  std::vector<Message> taken;
  std::vector<std::string> offered;            ///< subjects of whatever came as far as its dot
  static inline Manner manner = Manner::data;  ///< of all of them, while a test runs
  bool smtputf8 = false;
  Duration thinking{};   ///< before the reply to the final dot
  std::string greeting;  ///< in place of all else: said, and then the line is closed

  explicit MailServer(House& house) : clock_(house.simulation) {}

  net::Task<smtp::Reply> on_mail(const smtp::MailCommand& mail, const server::Hello& hello) override;
  net::Task<smtp::Reply> on_rcpt(const smtp::RcptCommand& rcpt) override;
  net::Task<std::optional<smtp::Reply>> on_data() override;
  net::Task<> on_content(std::string_view piece) override;
  net::Task<server::Answer> on_end(server::ContentEnd end, server::Peer& peer) override;
  net::Task<> on_abandon() override;
  void on_mail_refused(std::string_view /*argument*/, const smtp::Reply& /*reply*/) override {}
  void on_rcpt_refused(std::string_view /*argument*/, const smtp::Reply& /*reply*/) override {}

 private:
  Clock& clock_;
  Message message_;
};

inline const std::string k_smart_host = "smart.example.net:25";

/// A house with a way out, at whose end there is a server. "example" may send.
struct Outgoing {
  Outgoing();
  House house;
  MailServer host{house};
};

/// What a customer's session came to.
struct Fetched {
  std::string atrn;  ///< the reply; empty where it did not come
  std::optional<server::SessionEnd> end;
};

/// Logs in, says ATRN with `domains` ("" for a bare one) and takes what comes. Runs until both sides are done.
Fetched fetch(House& house, MailServer& server, const std::string& domains = "", const net::Faults& faults = {});
/// The same on a line of one's own, beside others.
net::Task<> fetch_over(net::Stream stream, MailServer& server, std::string domains, Fetched& fetched);
/// The same, after a while.
net::Task<> fetch_later(House& house, Duration after, MailServer& server, std::string domains, Fetched& fetched);

}  // namespace odmr::test
