#include "provider_house.hpp"

#include <chrono>
#include <utility>

#include "../pure/fake_files.hpp"
#include "net/delay.hpp"
#include "smtp/command.hpp"

namespace odmr::test {

namespace {

// No call to the disk is left out but fsync, which a test has no use for and would pay for a thousand times.
class UnsyncedFiles final : public WatchedFiles {
 public:
  Result<void> sync(int /*file*/) override { return {}; }

 private:
  Step step(const std::string& /*call*/) override { return Step::act; }
};

constexpr auto k_patience = std::chrono::minutes(30);

std::vector<provider::Account> two_customers() {
  std::vector<provider::Account> accounts;
  accounts.push_back(
      {{"example", "example.org", {"example.org", "example.com"}, {"gw.example.org"}}, Secret("secret")});
  accounts.push_back({{"other", "other.example", {"other.example"}, {}}, Secret("another")});
  return accounts;
}

// Writes down what one end reads.
class RecordingTransport final : public net::Transport {
 public:
  RecordingTransport(std::unique_ptr<net::Transport> below, std::shared_ptr<Incoming> incoming)
      : below_(std::move(below)), incoming_(std::move(incoming)) {}

  net::Task<Result<std::size_t>> read_some(std::span<char> into, TimePoint deadline) override {
    const auto count = co_await below_->read_some(into, deadline);
    if (count) incoming_->bytes.append(into.data(), *count);
    co_return count;
  }
  net::Task<Result<void>> write(std::string_view bytes, Duration patience) override {
    co_return co_await below_->write(bytes, patience);
  }
  net::Task<> finish(TimePoint deadline) override { co_await below_->finish(deadline); }
  void interrupt() override { below_->interrupt(); }
  void close() override { below_->close(); }
  std::string peer() const override { return below_->peer(); }

 private:
  std::unique_ptr<net::Transport> below_;
  std::shared_ptr<Incoming> incoming_;
};

net::Task<> attend(net::Stream stream, const provider::Door& door, House& house) {
  co_await provider::attend(std::move(stream), door, *house.provider, house.log, house.stop);
  ++house.sessions_over;
}

net::Task<> wait_for(House& house, const bool& is_over) {
  Stop never;
  while (!is_over || house.sessions_over == 0) {
    co_await net::delay(house.simulation, std::chrono::seconds(1), never);
  }
}

net::Task<> noting(net::Task<> conversation, bool& is_over) {
  co_await std::move(conversation);
  is_over = true;
}

void run(House& house, net::Task<> conversation) {
  bool is_over = false;
  house.sessions_over = 0;
  house.simulation.start(noting(std::move(conversation), is_over));
  house.simulation.run(wait_for(house, is_over));
  house.simulation.settle();
}

struct Talk {
  client::Session session;
  Account account;
  std::shared_ptr<net::TlsContext> tls;
  bool begins_with_tls;
  std::vector<std::string>& heard;
};

net::Task<Result<smtp::Reply>> act(Talk& talk, const std::string& chunk) {
  if (chunk == "HEAR") co_return co_await talk.session.read_reply(k_patience);
  if (chunk == "LOGIN") {
    client::Login login{talk.account.user, Secret(talk.account.password), talk.account.filter,
                        talk.account.password.empty()};
    const auto policy = talk.session.stream().tls() ? client::TlsPolicy::starttls : client::TlsPolicy::none;
    const auto in = co_await client::log_in(talk.session, login, policy, k_patience);
    if (in) co_return smtp::Reply(235, *in);
    if (in.error().reply) co_return *in.error().reply;
    co_return fail(Errc::lost, in.error().text);
  }
  if (chunk == "TLS") {
    const TimePoint deadline = talk.session.stream().clock().now() + k_patience;
    const auto begun = co_await talk.session.stream().start_tls_client(talk.tls, "odmr.example.net", deadline);
    if (!begun) co_return fail(begun.error());
    co_return smtp::Reply(0, "TLS");
  }
  if (chunk == "5m") {
    Stop never;
    co_await net::delay(talk.session.stream().clock(), std::chrono::minutes(5), never);
    co_return smtp::Reply(0, "5m");
  }
  const std::string bytes = chunk.find("\r\n") == std::string::npos ? chunk + "\r\n" : chunk;
  auto reply = co_await talk.session.ask(bytes, k_patience);
  if (reply && chunk.starts_with("EHLO")) talk.session.set_capabilities(smtp::Capabilities::from(*reply));
  co_return reply;
}

net::Task<> say_all(Talk& talk, const std::vector<std::string>& chunks) {
  if (talk.begins_with_tls) {
    const std::string handshake = "TLS";
    const auto begun = co_await act(talk, handshake);
    if (!begun) talk.heard.emplace_back("no TLS");
  }
  const auto greeting = co_await talk.session.read_reply(k_patience);
  talk.heard.push_back(greeting ? greeting->joined() : "closed");
  for (const auto& chunk : chunks) {
    const auto reply = co_await act(talk, chunk);
    if (reply && reply->code == 0) continue;
    talk.heard.push_back(reply ? reply->joined() : "closed");
    if (!reply) break;
  }
  talk.session.close();
}

}  // namespace

FileOps& unsynced() {
  static UnsyncedFiles files;
  return files;
}

House::House(FileOps& file_ops, bool told)
    : files(&file_ops),
      is_told(told),
      customers(std::make_shared<provider::Customers>(two_customers())),
      disk(net::make_inline_worker()) {
  reopen();
}

void House::accounts_of(const std::function<void(provider::Customer&)>& change) {
  std::vector<provider::Account> accounts;
  for (const auto& one : customers->all()) {
    accounts.push_back({one.customer, Secret(one.password.text())});
    change(accounts.back().customer);
  }
  customers = std::make_shared<provider::Customers>(std::move(accounts));
  provider->customers = customers;
}

void House::reopen() {
  provider.reset();
  mail.reset();
  auto opened = provider::HeldInDirectory::in(directory.path(), *disk, log, *files, is_told);
  if (!opened) throw std::runtime_error(opened.error().text);
  mail = std::move(*opened);
  provider::SessionOptions options;
  options.hostname = "odmr.example.net";
  provider.reset(new provider::Provider{options, customers, *mail, outside, way_out});
  provider->begin_push = [this](provider::Push push) {
    simulation.start(provider::push(std::move(push), *provider, log, stop));
  };
}

std::string House::put(const std::string& reverse_path, const std::vector<std::string>& recipients,
                       const std::string& subject, spool::Attributes attributes) {
  auto store = provider::open_folder(directory.path(), provider::Folder::held, unsynced());
  spool::Envelope envelope{std::chrono::system_clock::now(), reverse_path, std::move(attributes), {}};
  for (const auto& recipient : recipients) envelope.recipients.push_back({recipient, {}});
  auto draft = store->begin(envelope);
  static_cast<void>(draft->write("Subject: " + subject + "\r\n\r\n.dot of " + subject + "\r\n"));
  return draft->commit().value();
}

std::vector<std::string> House::ids(provider::Folder folder) const {
  const auto store = provider::open_folder(directory.path(), folder);
  return store->list()->ids;
}

net::Stream House::connect(const provider::Door& door, net::Faults faults) {
  auto line = net::memory_line(simulation, "192.0.2.7:4711", "odmr.example.net", std::move(faults));
  incoming = std::make_shared<Incoming>();
  traffic = line.traffic;
  auto recording = std::make_unique<RecordingTransport>(std::move(line.first), incoming);
  simulation.start(attend(net::Stream(std::move(recording), simulation), door, *this));
  return net::Stream(std::move(line.second), simulation);
}

std::vector<std::string> converse(House& house, const provider::Door& door, const std::vector<std::string>& chunks,
                                  const Account& account, std::shared_ptr<net::TlsContext> tls) {
  std::vector<std::string> heard;
  Talk talk{client::Session(house.connect(door), client::Dialect::smtp, silent_log(), k_patience), account,
            std::move(tls), door.tls == provider::DoorTls::implicit, heard};
  run(house, say_all(talk, chunks));
  return heard;
}

Replies after_login(House& house, std::vector<std::string> chunks) {
  chunks.insert(chunks.begin(), {"EHLO gw.example.org", "LOGIN"});
  auto heard = converse(house, house.clear, chunks);
  if (heard.size() < 3 || heard[2] != "235 SCRAM-SHA-256") throw std::runtime_error("the login does not work");
  heard.erase(heard.begin(), heard.begin() + 3);
  return heard;
}

// --- the servers outside

namespace {

net::Task<> serve_outside(net::Stream stream, MailServer& server, server::MailSessionOptions options) {
  if (!server.greeting.empty()) {
    co_await stream.write(server.greeting, k_patience);
    co_return co_await stream.finish();
  }
  Stop never;
  co_await server::serve_mail(std::move(stream), server, options, silent_log(), never);
}

}  // namespace

net::Task<Result<net::Stream>> Outside::connect(const net::Endpoint& endpoint, Duration /*patience*/, Stop& /*stop*/) {
  connected.push_back(endpoint.text());
  const auto found = servers.find(connected.back());
  if (found == servers.end()) co_return fail(Errc::unreachable, connected.back() + ": Connection refused");
  auto line = net::memory_line(simulation_, "192.0.2.25:25", "odmr.example.net", faults);
  simulation_.start(serve_outside(net::Stream(std::move(line.first), simulation_), *found->second, session));
  co_return net::Stream(std::move(line.second), simulation_);
}

net::Task<Result<std::vector<std::string>>> Outside::mail_exchangers(const std::string& domain, Duration /*patience*/,
                                                                     Stop& /*stop*/) {
  const auto found = exchangers.find(domain);
  if (found == exchangers.end()) co_return fail(Errc::not_found, domain + ": there is no such domain");
  co_return found->second;
}

Outgoing::Outgoing() {
  house.outside.servers[k_smart_host] = &host;
  house.way_out = std::make_shared<provider::WayOut>();
  house.way_out->smart_host.role = deliver::TargetOptions::Role::smart_host;
  house.way_out->smart_host.server.endpoint = {"smart.example.net", 25, {}, {}};
  house.way_out->smart_host.server.hostname = house.way_out->smart_host.hostname = "odmr.example.net";
  house.way_out->options.hostname = "odmr.example.net";
  house.way_out->options.limits.max_size = 1000;
  house.provider->way_out = house.way_out;
  house.accounts_of([](provider::Customer& customer) { customer.outbound = customer.name == "example"; });
  house.outside.session.offer.smtputf8 = true;
}

// --- the customer's server

std::string MailServer::Message::subject() const {
  const std::string field = "Subject: ";
  const auto begin = content.find(field);
  return begin == std::string::npos ? std::string() : content.substr(begin + 9, content.find('\r', begin) - begin - 9);
}

net::Task<smtp::Reply> MailServer::on_mail(const smtp::MailCommand& mail, const server::Hello& /*hello*/) {
  message_ = Message{mail.reverse_path.text(), {}, {}};
  co_return smtp::Reply(250, "2.1.0 OK");
}

net::Task<smtp::Reply> MailServer::on_rcpt(const smtp::RcptCommand& rcpt) {
  const std::string address = rcpt.forward_path.text();
  const auto reply = recipients.find(address);
  if (reply != recipients.end() && !reply->second.is_positive()) co_return reply->second;
  message_.recipients.push_back(address);
  co_return smtp::Reply(250, "2.1.5 OK");
}

net::Task<std::optional<smtp::Reply>> MailServer::on_data() {
  co_return std::nullopt;
}

net::Task<> MailServer::on_content(std::string_view piece) {
  message_.content += piece;
  co_return;
}

net::Task<server::Answer> MailServer::on_end(server::ContentEnd /*end*/, server::Peer& /*peer*/) {
  const std::string subject = message_.subject();
  offered.push_back(subject);
  Stop never;
  co_await net::delay(clock_, thinking, never);
  const auto reply = subjects.find(subject);
  if (reply != subjects.end()) co_return reply->second;
  taken.push_back(message_);
  if (on_taken) on_taken(message_);
  co_return smtp::Reply(250, "2.0.0 taken " + subject);
}

net::Task<> MailServer::on_abandon() {
  co_return;
}

net::Task<> fetch_over(net::Stream stream, MailServer& server, std::string domains, Fetched& fetched) {
  client::Session session(std::move(stream), client::Dialect::smtp, silent_log(), k_patience);
  const auto greeting = co_await session.read_reply(k_patience);
  if (!greeting) co_return;
  const auto hello = co_await session.ask("EHLO gw.example.org\r\n", k_patience);
  if (!hello) co_return;
  session.set_capabilities(smtp::Capabilities::from(*hello));
  // CRAM-MD5 costs no key stretching: thousands of sessions run here.
  client::Login login{"example.org", Secret("secret"), {sasl::Mechanism::cram_md5}, false};
  const auto in = co_await client::log_in(session, login, client::TlsPolicy::none, k_patience);
  if (!in) co_return;
  const std::string command = domains.empty() ? "ATRN\r\n" : "ATRN " + domains + "\r\n";
  const auto reply = co_await session.ask(command, k_patience);
  if (!reply) co_return;
  fetched.atrn = reply->joined();
  if (reply->code != 250) {
    session.close();
    co_return;
  }
  if (!server.greeting.empty()) {
    co_await session.send(server.greeting);
    co_await session.read_reply(k_patience);
    session.close();
    co_return;
  }
  server::MailSessionOptions options;
  options.hostname = "gw.example.org";
  options.offer.smtputf8 = server.smtputf8;
  options.offer.chunking = MailServer::manner != Manner::data;
  options.offer.once = MailServer::manner == Manner::pipeline;
  Stop stop;
  fetched.end = co_await server::serve_mail(std::move(session).release(), server, options, silent_log(), stop);
}

net::Task<> fetch_later(House& house, Duration after, MailServer& server, std::string domains, Fetched& fetched) {
  Stop never;
  co_await net::delay(house.simulation, after, never);
  co_await fetch_over(house.connect(), server, std::move(domains), fetched);
}

Fetched fetch(House& house, MailServer& server, const std::string& domains, const net::Faults& faults) {
  Fetched fetched;
  run(house, fetch_over(house.connect(house.clear, faults), server, domains, fetched));
  return fetched;
}

}  // namespace odmr::test
