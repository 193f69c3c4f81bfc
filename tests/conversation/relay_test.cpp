#include <catch2/catch.hpp>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <random>

#include "actor.hpp"
#include "app/fetch.hpp"
#include "client/transaction.hpp"
#include "server/authentication.hpp"
#include "server/channel.hpp"
#include "smtp/dot.hpp"

// Mail by chance: a provider with our own sender, a target of chance's moods, lines that break anywhere; and run after
// run until the provider has nothing left. What must come out is the promise: nothing lost, nothing changed.

namespace odmr::conversation {

namespace {

using net::Task;

constexpr const char* k_password = "tanstaaftanstaaf";

class Chance {
 public:
  explicit Chance(unsigned seed) : engine_(seed) {}
  std::size_t below(std::size_t limit) { return std::uniform_int_distribution<std::size_t>(0, limit - 1)(engine_); }
  bool one_in(std::size_t times) { return below(times) == 0; }

 private:
  std::mt19937 engine_;
};

std::string some_content(Chance& chance, std::size_t number) {
  std::string content = "Message-ID: <" + std::to_string(number) + "@example.org>\r\n\r\n";
  for (std::size_t lines = chance.below(40); lines > 0; --lines) {
    if (chance.one_in(4)) content += std::string(chance.below(4), '.');
    for (std::size_t size = chance.one_in(10) ? chance.below(3000) : chance.below(60); size > 0; --size) {
      const char c = static_cast<char>(chance.below(256));
      content += c == '\r' || c == '\n' ? '.' : c;
    }
    content += "\r\n";
  }
  return content;
}

struct Held {
  std::string content;
  std::vector<std::string> recipients;  ///< without the domain; those of whom nothing final was heard
  bool is_done() const { return recipients.empty(); }
};

struct World {
  explicit World(unsigned seed) : chance(seed) {
    auto opened = journal::Journal::in_memory(simulation.loop().get_executor(), *disk, simulation, silent_log());
    REQUIRE(opened);
    journal = std::move(*opened);
  }
  Chance chance;
  net::Simulation simulation;
  std::unique_ptr<net::Worker> disk = net::make_inline_worker();
  std::unique_ptr<journal::Journal> journal;  ///< lasts beyond a session, as on disk
  Stop stop;
  std::deque<Held> held;                          ///< at the provider
  std::multimap<std::string, std::string> taken;  ///< content to recipient: what the target answered 2xx for
  std::vector<std::pair<std::string, std::string>> accepted;  ///< the same pairs, as the provider heard 250
  std::vector<std::string> broken;                            ///< promises
  bool lmtp = false;
  bool lines_break = false;
  bool target_line_breaks = false;  ///< too: then what it took and could not tell of comes twice (RFC 1047)
  bool is_moody = false;            ///< the target
};

class Text final : public client::Content {
 public:
  explicit Text(const std::string& text) : text_(text) {}
  Result<std::size_t> read(char* into, std::size_t size) override {
    const auto count = text_.copy(into, std::min<std::size_t>(size, 1000), at_);
    at_ += count;
    return count;
  }

 private:
  const std::string& text_;
  std::size_t at_ = 0;
};

class Account final : public sasl::Accounts {
 public:
  std::optional<std::string_view> password(std::string_view user) const override {
    return user == "customer" ? std::optional<std::string_view>(k_password) : std::nullopt;
  }
};

class ChanceProvider {
 public:
  ChanceProvider(World& world, net::Stream stream)
      : world_(world), channel_(std::move(stream), silent_log(), std::chrono::minutes(1)) {}

  Task<> attend() {
    const bool turned = co_await until_atrn();
    if (!turned) co_return;
    client::Session session(std::move(channel_).release(), client::Dialect::smtp, silent_log(),
                            std::chrono::minutes(1));
    co_await hand_over(session);
    session.close();
  }

 private:
  TimePoint soon() const { return world_.simulation.now() + std::chrono::hours(1); }

  Task<bool> until_atrn() {
    channel_.reply(smtp::Reply(220, "chance ESMTP"));
    for (;;) {
      const auto line = co_await channel_.read_line(2000, soon());
      if (!line) co_return false;
      const auto command = smtp::parse_command(line->text);
      if (command.verb == smtp::Verb::ehlo) {
        const std::vector<std::string> lines{"chance", "AUTH SCRAM-SHA-256 CRAM-MD5", "ATRN"};
        channel_.reply(smtp::Reply(250, lines));
      } else if (command.verb == smtp::Verb::auth) {
        const auto in = co_await server::authenticate(channel_, command.argument, Account(), sasl::Channel(),
                                                      situation(), std::chrono::hours(1));
        if (!in) co_return false;
      } else if (command.verb == smtp::Verb::atrn && has_mail()) {
        channel_.reply(smtp::Reply(250, "turning"));
        const auto sent = co_await channel_.flush();
        co_return sent.has_value();
      } else {
        channel_.reply(command.verb == smtp::Verb::atrn ? smtp::Reply(453, "nothing") : smtp::Reply(221, "bye"));
        const auto sent = co_await channel_.flush();
        if (!sent || command.verb == smtp::Verb::quit) co_return false;
      }
    }
  }

  static sasl::Situation situation() {
    sasl::Situation situation;
    situation.has_password = true;
    return situation;
  }

  bool has_mail() const {
    return std::any_of(world_.held.begin(), world_.held.end(), [](const Held& one) { return !one.is_done(); });
  }

  Task<> hand_over(client::Session& session) {
    const auto greeting = co_await session.read_reply(std::chrono::hours(1));
    if (!greeting) co_return;
    const auto hello = co_await session.ask("EHLO chance.example.net\r\n", std::chrono::hours(1));
    if (!hello) co_return;
    session.set_capabilities(smtp::Capabilities::from(*hello));
    for (auto& held : world_.held) {
      if (held.is_done()) continue;
      const bool goes_on = co_await hand_over_one(session, held);
      if (!goes_on) co_return;
    }
    co_await session.quit(std::chrono::minutes(1));
  }

  Task<bool> hand_over_one(client::Session& session, Held& held) {
    client::Envelope envelope;
    envelope.reverse_path.mailbox = smtp::Mailbox{"sender", "example.org"};
    for (const auto& name : held.recipients) {
      envelope.recipients.emplace_back();
      envelope.recipients.back().mailbox = smtp::Mailbox{name, "customer.example"};
    }
    Text text(held.content);
    const client::TransactionPatience patience;
    const auto delivery = co_await client::transact(session, envelope, text, patience);
    std::vector<std::string> again;
    for (std::size_t i = 0; i < held.recipients.size(); ++i) {
      const auto& reply = delivery.recipients[i];
      if (!reply || reply->is_transient()) again.push_back(held.recipients[i]);
      if (reply && reply->is_positive()) world_.accepted.emplace_back(held.content, held.recipients[i]);
    }
    held.recipients = again;
    co_return !delivery.broken.has_value();
  }

  World& world_;
  server::Channel channel_;
};

class ChanceTarget {
 public:
  ChanceTarget(World& world, net::Stream stream)
      : world_(world), channel_(std::move(stream), silent_log(), std::chrono::minutes(1)) {}

  Task<> attend() {
    channel_.reply(smtp::Reply(220, "target"));
    for (bool goes_on = true; goes_on;) {
      const auto line = co_await channel_.read_line(4000, world_.simulation.now() + std::chrono::hours(24));
      if (!line) co_return;
      goes_on = co_await obey(smtp::parse_command(line->text));
      // Dies: but where its line must not break, only once it has been heard.
      if (world_.is_moody && chance().one_in(60)) {
        if (!world_.target_line_breaks) co_await channel_.flush();
        co_return;
      }
    }
    co_await channel_.flush();
  }

 private:
  Chance& chance() { return world_.chance; }

  // 2xx most of the time.
  smtp::Reply mood() {
    if (!world_.is_moody || !chance().one_in(6)) return smtp::Reply(250, "2.0.0 fine");
    return chance().one_in(2) ? smtp::Reply(450, "4.2.0 later") : smtp::Reply(550, "5.2.0 never");
  }

  Task<bool> obey(smtp::Command command) {
    switch (command.verb) {
      case smtp::Verb::mail:
        recipients_.clear();
        channel_.reply(smtp::Reply(250, "2.1.0 ok"));
        break;
      case smtp::Verb::rcpt: {
        const auto reply = mood();
        if (reply.is_positive())
          recipients_.push_back(smtp::parse_rcpt(command.argument)->forward_path.mailbox.local_part);
        channel_.reply(reply);
        break;
      }
      case smtp::Verb::data:
        co_return co_await content();
      default:
        channel_.reply(smtp::Reply(command.verb == smtp::Verb::quit ? 221 : 250, "ok"));
    }
    co_return command.verb != smtp::Verb::quit;
  }

  Task<bool> content() {
    channel_.reply(smtp::Reply(354, "go on"));
    co_await channel_.flush();
    smtp::DotDecoder decoder;
    std::string text;
    for (bool ended = false; !ended;) {
      if (channel_.stream().buffered().empty()) {
        const auto filled = co_await channel_.stream().fill(world_.simulation.now() + std::chrono::hours(24));
        if (!filled) co_return false;
      }
      const auto progress = decoder.decode(channel_.stream().buffered(), text);
      channel_.stream().consume(progress.consumed);
      ended = progress.ended;
    }
    answer(without_trace(text).value_or("no trace"));
    co_return true;
  }

  void answer(const std::string& text) {
    const auto known = [&text](const Held& held) { return held.content == text; };
    if (std::none_of(world_.held.begin(), world_.held.end(), known)) world_.broken.push_back("delivered: " + text);
    const smtp::Reply one = mood();
    for (std::size_t i = 0; i < recipients_.size(); ++i) {
      const smtp::Reply reply = world_.lmtp ? mood() : one;
      if (world_.lmtp || i == 0) channel_.reply(reply);
      if (reply.is_positive()) world_.taken.emplace(text, recipients_[i]);
    }
  }

  World& world_;
  server::Channel channel_;
  std::vector<std::string> recipients_;
};

template <class Peer>
Task<> attend(World& world, net::Stream stream) {
  Peer peer(world, std::move(stream));
  co_await peer.attend();
}

class ChanceNetwork final : public net::Network {
 public:
  explicit ChanceNetwork(World& world) : world_(world) {}
  Clock& clock() override { return world_.simulation; }

  Task<Result<net::Stream>> connect(const net::Endpoint& endpoint, Duration /*patience*/, Stop& /*stop*/) override {
    net::Faults faults;
    if (world_.chance.one_in(2)) faults.largest_read = 1 + world_.chance.below(200);
    const bool may_break = world_.lines_break && (endpoint.port == 366 || world_.target_line_breaks);
    if (may_break && world_.chance.one_in(3)) {
      (world_.chance.one_in(2) ? faults.cut_after_read : faults.cut_after_written) = world_.chance.below(5000);
    }
    auto line = net::memory_line(world_.simulation, "192.0.2.1:366", "192.0.2.9:4711", faults);
    net::Stream theirs(std::move(line.second), world_.simulation);
    world_.simulation.start(endpoint.port == 366 ? attend<ChanceProvider>(world_, std::move(theirs))
                                                 : attend<ChanceTarget>(world_, std::move(theirs)));
    co_return net::Stream(std::move(line.first), world_.simulation);
  }

 private:
  World& world_;
};

class KeptBounces final : public receive::BounceKeeper {
 public:
  explicit KeptBounces(World& world) : world_(world) {}
  Result<void> keep(const receive::BounceRecord& record) override {
    for (const auto& failed : record.failed) bounced_.insert(failed.recipient.local_part + " " + record.header);
    return {};
  }
  bool has(const std::string& recipient, const std::string& content) const {
    const std::string header = content.substr(0, content.find("\r\n\r\n"));
    return std::any_of(bounced_.begin(), bounced_.end(), [&](const std::string& one) {
      return one.starts_with(recipient + " ") && one.find(header) != std::string::npos;
    });
  }

 private:
  World& world_;
  std::set<std::string> bounced_;
};

app::FetchPlan plan_for(const World& world) {
  app::FetchPlan plan;
  plan.provider = "isp";
  plan.scratch_directory = std::filesystem::temp_directory_path();
  plan.hostname = "mail.customer.example";
  plan.domains = {"customer.example"};
  auto login = std::make_shared<client::Login>();
  login->user = "customer";
  login->password = Secret(k_password);
  if (world.lmtp) login->filter = {sasl::Mechanism::cram_md5};
  plan.server.hostname = plan.hostname;
  plan.server.login = login;
  plan.server.endpoint.host = "chance.example.net";
  plan.server.endpoint.port = 366;
  plan.target.server.hostname = plan.hostname;
  plan.target.server.endpoint.host = "localhost";
  plan.target.server.endpoint.port = 24;
  plan.target.kind = world.lmtp ? deliver::TargetOptions::Kind::lmtp : deliver::TargetOptions::Kind::smtp;
  if (world.lmtp) plan.target.server.dialect = client::Dialect::lmtp;
  return plan;
}

Task<> fetch_once(const app::FetchPlan& plan, World& world, receive::BounceKeeper& bounces,
                  app::SessionReport& report) {
  ChanceNetwork network(world);
  report = co_await app::fetch(plan, network, system_files(), *world.journal, bounces, nullptr, app::OnProgress(),
                               silent_log(), world.stop);
}

// Runs until the provider has nothing left; gives how many it took.
std::size_t run_world(World& world, KeptBounces& bounces) {
  const std::size_t messages = 1 + world.chance.below(6);
  for (std::size_t i = 0; i < messages; ++i) {
    Held held{some_content(world.chance, i), {"bob"}};
    if (world.chance.one_in(2)) held.recipients.emplace_back("carol");
    if (world.chance.one_in(4)) held.recipients.emplace_back("dave");
    world.held.push_back(std::move(held));
  }
  auto plan = plan_for(world);
  std::size_t runs = 0;
  const auto is_left = [&world] {
    return std::any_of(world.held.begin(), world.held.end(), [](const Held& one) { return !one.is_done(); });
  };
  for (; is_left() && runs < 60; ++runs) {
    app::SessionReport report;
    plan.session_id = "run" + std::to_string(runs);
    const bool ended = world.simulation.run(fetch_once(plan, world, bounces, report));
    if (!ended) world.broken.emplace_back("a session never ends");
    if (report.outcome == Outcome::bug) world.broken.push_back("bug: " + report.text);
    if (runs > 20) world.lines_break = world.is_moody = false;
  }
  if (is_left()) world.broken.emplace_back("mail is left for ever");
  for (const auto& [content, recipient] : world.accepted) {
    const auto [begin, end] = world.taken.equal_range(content);
    const bool is_there = std::any_of(begin, end, [&](const auto& pair) { return pair.second == recipient; });
    if (!is_there && !bounces.has(recipient, content)) world.broken.push_back("lost for " + recipient + ": " + content);
  }
  return runs;
}

void expect_promises_kept(unsigned seed, bool lines_break, bool target_line_breaks, bool is_moody, bool lmtp) {
  World world(seed);
  world.lines_break = lines_break;
  world.target_line_breaks = target_line_breaks;
  world.is_moody = is_moody;
  world.lmtp = lmtp;
  KeptBounces bounces(world);
  const std::size_t runs = run_world(world, bounces);
  INFO("seed " << seed << ", lines break " << lines_break << ", moody " << is_moody << ", LMTP " << lmtp);
  for (const auto& one : world.broken) FAIL_CHECK(one.substr(0, 500));
  if (!target_line_breaks) {
    for (const auto& [content, recipient] : world.taken) {
      const auto [begin, end] = world.taken.equal_range(content);
      const auto times = std::count_if(begin, end, [&, who = recipient](const auto& one) { return one.second == who; });
      CHECK(times == 1);
    }
  }
  if (!lines_break && !is_moody) CHECK(runs == 1);
}

}  // namespace

TEST_CASE("whatever chance does, no mail is lost, none is changed, and none comes twice") {
  for (unsigned seed = 1; seed <= 40; ++seed) {
    for (unsigned weather = 0; weather < 12; ++weather) {
      const unsigned lines = weather % 3;
      expect_promises_kept(seed * 12 + weather, lines > 0, lines > 1, weather / 3 % 2 != 0, weather / 6 != 0);
    }
  }
  std::printf("sessions by chance: 480\n");
}

}  // namespace odmr::conversation
