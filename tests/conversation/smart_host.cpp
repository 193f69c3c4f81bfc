#include "smart_host.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "base/ascii.hpp"
#include "net/delay.hpp"
#include "queue/attributes.hpp"
#include "smtp/dot.hpp"

namespace odmr::test {

using net::Task;

namespace {

constexpr auto k_patience = std::chrono::hours(1);

std::string subject_of(const std::string& content) {
  const std::string field = "Subject: ";
  const auto begin = content.find(field);
  return begin == std::string::npos ? std::string() : content.substr(begin + 9, content.find('\r', begin) - begin - 9);
}

std::string with_crlf(const std::string& lines) {
  std::string text;
  for (const char c : lines) text += c == '\n' ? std::string("\r\n") : std::string(1, c);
  return text.ends_with("\r\n") ? text : text + "\r\n";
}

}  // namespace

struct SmartHost::Line {
  net::Stream stream;
  std::size_t number;
  std::string unsaid;  // replies
  Taken message;
  bool has_mail = false;
};

std::size_t SmartHost::count(const std::string& subject) const {
  return static_cast<std::size_t>(
      std::count_if(taken.begin(), taken.end(), [&](const Taken& one) { return one.subject == subject; }));
}

std::size_t SmartHost::times(const std::string& step) const {
  return static_cast<std::size_t>(
      std::count_if(moments.begin(), moments.end(), [&](const Moment& one) { return one.step == step; }));
}

Task<Result<net::Stream>> SmartHost::connect(const net::Endpoint& endpoint, Duration /*patience*/, Stop& /*stop*/) {
  const auto script = pop3.find(endpoint.port);
  const Moment moment{connections + 1, "connect", {}, {}};
  if (script == pop3.end()) {
    moments.push_back(moment);
    const auto act = mood ? mood(moment) : std::nullopt;
    if (act) co_return fail(Errc::unreachable, endpoint.text() + ": connection refused");
    ++connections;
    most_open = std::max(most_open, ++open);
  }
  const auto special = faults.find(connections);
  auto line = net::memory_line(simulation_, "192.0.2.1:587", "192.0.2.99:4711",
                               special == faults.end() ? net::Faults() : special->second);
  traffic = line.traffic;
  auto ours = std::make_shared<Line>(Line{net::Stream(std::move(line.second), simulation_), connections, {}, {}});
  simulation_.start(script == pop3.end() ? attend(std::move(ours)) : attend_pop(std::move(ours), script->second));
  co_return net::Stream(std::move(line.first), simulation_);
}

// Replies go out before the host waits itself.
Task<std::optional<std::string>> SmartHost::read_line(Line& line) {
  for (;;) {
    const auto bytes = line.stream.buffered();
    const auto end = bytes.find("\r\n");
    if (end != std::string_view::npos) {
      std::string text(bytes.substr(0, end));
      line.stream.consume(end + 2);
      co_return text;
    }
    const std::string replies = std::exchange(line.unsaid, {});
    const auto sent = co_await line.stream.write(replies, k_patience);
    if (!sent) co_return std::nullopt;
    const auto filled = co_await line.stream.fill(simulation_.now() + k_patience);
    if (!filled) co_return std::nullopt;
  }
}

Task<bool> SmartHost::answer(Line& line, Moment moment, std::string usual) {
  moments.push_back(moment);
  const auto act = mood ? mood(moment) : std::nullopt;
  if (act && act->thinks > Duration()) co_await net::delay(simulation_, act->thinks, patience_);
  if (act && act->closes_first) co_return false;
  line.unsaid += with_crlf(act && !act->reply.empty() ? act->reply : usual);
  if (!act || !act->closes_then) co_return true;
  const std::string replies = std::exchange(line.unsaid, {});
  co_await line.stream.write(replies, k_patience);
  co_return false;
}

std::string SmartHost::hello() const {
  std::string text = "250-smart.example.net\n";
  if (tls) text += "250-STARTTLS\n";
  for (const auto& offer : offers) text += "250-" + offer + "\n";
  return text + "250 HELP";
}

Task<> SmartHost::attend(std::shared_ptr<Line> line) {
  const Moment greeting{line->number, "greeting", {}, {}};
  const std::string welcome = "220 smart.example.net ESMTP";
  bool goes_on = co_await answer(*line, greeting, welcome);
  while (goes_on) {
    const auto command = co_await read_line(*line);
    if (!command) break;
    goes_on = co_await obey(*line, *command);
  }
  const std::string replies = std::exchange(line->unsaid, {});
  co_await line->stream.write(replies, k_patience);
  line->stream.close();
  --open;
}

Task<bool> SmartHost::obey(Line& line, std::string command) {
  const std::string verb = upper(std::string_view(command).substr(0, command.find(' ')));
  const Moment moment{line.number, verb, command, {}};
  const auto before = line.unsaid.size();
  const auto is_taken = [&line, before] { return line.unsaid.size() > before && line.unsaid[before] == '2'; };
  const std::string usual = usual_reply(line, verb);
  const bool goes_on = co_await answer(line, moment, usual);
  if (verb == "STARTTLS" && goes_on && is_taken()) {
    const std::string replies = std::exchange(line.unsaid, {});
    co_await line.stream.write(replies, k_patience);
    const auto begun = co_await line.stream.start_tls_server(tls, simulation_.now() + k_patience);
    co_return begun.has_value();
  }
  if (verb == "MAIL" && is_taken()) {
    line.has_mail = true;
    line.message = Taken{line.number, command, {}, {}, {}};
  }
  if (verb == "RCPT" && is_taken()) line.message.rcpts.push_back(command);
  if (verb == "RSET") line.has_mail = false;
  if (verb == "DATA" && goes_on && line.unsaid.compare(before, 3, "354") == 0) co_return co_await read_message(line);
  co_return goes_on&& verb != "QUIT";
}

std::string SmartHost::usual_reply(const Line& line, const std::string& verb) const {
  if (verb == "EHLO") return hello();
  if (verb == "STARTTLS") return "220 go ahead";
  if (verb == "QUIT") return "221 bye";
  if (verb == "MAIL") return line.has_mail ? "503 5.5.1 twice" : "250 2.1.0 sender ok";
  const bool needs_mail = verb == "RCPT" || verb == "DATA";
  if (needs_mail && !line.has_mail) return "503 5.5.1 MAIL first";
  if (verb == "RCPT") return "250 2.1.5 recipient ok";
  if (verb == "DATA") return line.message.rcpts.empty() ? "554 5.5.1 no valid recipients" : "354 go on";
  return "250 ok";
}

Task<bool> SmartHost::read_message(Line& line) {
  const std::string replies = std::exchange(line.unsaid, {});
  const auto said = co_await line.stream.write(replies, k_patience);
  if (!said) co_return false;
  smtp::DotDecoder decoder;
  for (bool is_over = false; !is_over;) {
    if (line.stream.buffered().empty()) {
      const auto filled = co_await line.stream.fill(simulation_.now() + k_patience);
      if (!filled) co_return false;
    }
    const auto progress = decoder.decode(line.stream.buffered(), line.message.content);
    line.stream.consume(progress.consumed);
    is_over = progress.ended;
  }
  line.has_mail = false;
  line.message.subject = subject_of(line.message.content);
  const Moment dot{line.number, "dot", {}, line.message.subject};
  moments.push_back(dot);
  const auto act = mood ? mood(dot) : std::nullopt;
  const std::string reply = act && !act->reply.empty() ? act->reply : "250 2.0.0 taken";
  // A host that dies right after the dot may have the message all the same.
  if (reply.starts_with("2") && !line.message.rcpts.empty()) {
    taken.push_back(line.message);
    taken.back().is_heard = !(act && act->closes_first);
  }
  if (act && act->closes_first) co_return false;
  line.unsaid += with_crlf(reply);
  if (act && act->closes_then) co_return false;
  co_return true;
}

Task<> SmartHost::attend_pop(std::shared_ptr<Line> line, std::vector<std::string> script) {
  for (const auto& words : script) {
    if (words == "TLS") {
      const auto begun = co_await line->stream.start_tls_server(tls, simulation_.now() + k_patience);
      if (!begun) co_return;
      continue;
    }
    if (words == "CLOSE") break;
    if (words.empty()) {
      const auto command = co_await read_line(*line);
      if (!command) co_return;
      heard.push_back(*command);
      continue;
    }
    line->unsaid = with_crlf(words);
    const std::string replies = std::exchange(line->unsaid, {});
    co_await line->stream.write(replies, k_patience);
  }
  line->stream.close();
}

// --- the log

// --- the post office

PostOffice::PostOffice() {
  options.server.endpoint = net::Endpoint{"smart.example.net", 587, {}};
  options.server.hostname = "mail.example.org";
  options.max_connections = 1;
  options.scratch_directory = directory.path();
}

std::string PostOffice::put(const std::string& subject, const std::vector<std::string>& recipients,
                            const std::string& body, spool::Attributes attributes, const std::string& reverse_path) {
  auto store = spool::Store::in(queue::directory_in(directory.path()), files);
  if (!store) throw std::runtime_error(store.error().text);
  // One after the other, at a time that stands still.
  const WallTime arrival = simulation.wall() - std::chrono::seconds(1) + std::chrono::microseconds(subjects.size());
  spool::Envelope envelope{arrival, reverse_path, std::move(attributes), {}};
  for (const auto& recipient : recipients) envelope.recipients.push_back({recipient, {}});
  auto draft = store->begin(envelope);
  static_cast<void>(draft->write("Subject: " + subject + "\r\n\r\n" + body));
  const auto id = draft->commit().value();
  subjects[id] = subject;
  return id;
}

void PostOffice::open_queue() {
  queue.reset();
  auto opened = queue::Queue::in(queue::directory_in(directory.path()), queue_options, simulation, log, files);
  if (!opened) throw std::runtime_error(opened.error().text);
  queue.emplace(std::move(*opened));
  if (const auto recovered = queue->recover(); !recovered) throw std::runtime_error(recovered.error().text);
}

namespace {

Task<> run_flush(PostOffice& office, send::FlushReport& report) {
  const send::OnFlushProgress on_progress = [&office](const send::FlushTally& tally) {
    office.progress.push_back(tally);
  };
  report = co_await send::flush(office.options, *office.queue, office.host, *office.disk, on_progress, office.log,
                                office.stop);
}

Task<> run_flush_over(PostOffice& office, send::FlushedOver& flushed) {
  auto opened = co_await client::open(office.host, office.options.server, office.log, office.stop);
  if (!opened) throw std::runtime_error(opened.error().text);
  office.session.emplace(std::move(opened->session));
  const send::OnFlushProgress nobody;
  flushed = co_await send::flush_over(*office.session, office.options, *office.queue, *office.disk, nobody, office.log,
                                      office.stop);
}

}  // namespace

send::FlushReport PostOffice::flush() {
  open_queue();
  send::FlushReport report;
  if (!simulation.run(run_flush(*this, report))) throw std::runtime_error("the flush does not end");
  simulation.settle();
  return report;
}

send::FlushedOver PostOffice::flush_over() {
  open_queue();
  send::FlushedOver flushed;
  if (!simulation.run(run_flush_over(*this, flushed))) throw std::runtime_error("the flush does not end");
  return flushed;
}

std::vector<queue::Entry> PostOffice::entries() {
  open_queue();
  if (const auto refreshed = queue->refresh(); !refreshed) throw std::runtime_error(refreshed.error().text);
  std::vector<queue::Entry> all;
  const auto listed = queue->list([&all](const queue::Entry& entry) {
    all.push_back(entry);
    return true;
  });
  if (!listed) throw std::runtime_error(listed.error().text);
  return all;
}

queue::Entry PostOffice::entry(const std::string& subject) {
  for (const auto& entry : entries()) {
    if (subjects[entry.id] == subject) return entry;
  }
  throw std::runtime_error(subject + " is not in the queue");
}

void PostOffice::wait(Duration duration) {
  Stop never;
  simulation.run(net::delay(simulation, duration, never));
}

}  // namespace odmr::test
