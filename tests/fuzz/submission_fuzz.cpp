// The SMTP server for local programs, with one that may say anything: the session ends, what is in the queue is what
// was finished and answered 250, to the byte behind our header fields, and segments make no difference.

#include <algorithm>

#include "../pure/fake_files.hpp"
#include "../pure/temporary_directory.hpp"
#include "input.hpp"
#include "net/worker.hpp"
#include "peers.hpp"
#include "submit/submission.hpp"

using namespace odmr;
using net::Task;

namespace {

// The real files; nobody cuts the power here.
class UnsyncedFiles final : public test::WatchedFiles {
 public:
  Result<void> sync(int /*file*/) override { return {}; }

 private:
  Step step(const std::string& /*call*/) override { return Step::act; }
};

std::vector<std::string> messages_in(const spool::Store& store) {
  std::vector<std::string> messages;
  const auto listing = store.list();
  fuzz::require(listing && listing->skipped.empty(), "nothing else is in the queue");
  for (const auto& id : listing->ids) {
    auto reader = store.open(id);
    fuzz::require(reader.has_value(), "what is in the queue is whole");
    std::string message(reader->size(), '\0');
    std::size_t done = 0;
    while (done < message.size()) {
      const auto count = reader->read(message.data() + done, message.size() - done);
      fuzz::require(count && *count > 0, "to its last byte");
      done += *count;
    }
    messages.push_back(std::move(message));
  }
  return messages;
}

Task<> serve(net::Stream stream, submit::Submission& handler, const server::MailSessionOptions& options,
             server::SessionEnd& end) {
  Stop stop;
  end = co_await server::serve_mail(std::move(stream), handler, options, silent_log(), stop);
}

std::size_t count(std::string_view text, std::string_view what) {
  std::size_t found = 0;
  for (auto at = text.find(what); at != std::string_view::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

// Ids are chance.
std::string without_ids(std::string heard) {
  const std::string_view words = "queued as ";
  for (auto at = heard.find(words); at != std::string::npos; at = heard.find(words, at + words.size())) {
    heard.erase(at + words.size(), heard.find('\r', at) - at - words.size());
  }
  return heard;
}

std::string play(const fuzz::Input& input, std::size_t segment) {
  static UnsyncedFiles files;
  const test::TemporaryDirectory directory;
  net::Simulation simulation;
  auto store = spool::Store::in(directory.path(), files);
  fuzz::require(store.has_value(), "there is a queue");
  const auto disk = net::make_inline_worker();
  submit::SubmissionOptions options;
  server::MailSessionOptions session;
  options.hostname = session.hostname = "mail.example.org";
  options.free_space = [] { return Result<std::uint64_t>(std::uint64_t{1} << 40); };
  session.offer.size = options.limits.max_size = 2000;
  session.offer.smtputf8 = session.offer.dsn = session.bare_names = true;
  submit::Submission handler(options, intake::Caller::of("uid 1000"), *store, *disk, simulation, silent_log());

  net::Faults faults;
  faults.largest_read = segment;
  auto line = net::memory_line(simulation, "uid 1000", "server", faults);
  net::Stream stream(std::move(line.first), simulation);
  fuzz::Talker program(simulation, input.scripts.front());
  simulation.start(program.play(std::move(line)));
  server::SessionEnd end;
  fuzz::require(simulation.run(serve(std::move(stream), handler, session, end)), "the session ends");
  simulation.settle();

  fuzz::require_clean(program.heard());
  fuzz::require_lines(program.heard(), 512);
  const auto finished = fuzz::finished_messages(all_of(input.scripts.front()));
  const auto queued = messages_in(*store);
  const auto answered = count(program.heard(), "250 2.0.0 queued as ");
  fuzz::require(answered <= queued.size(), "each 250 is a message in the queue");
  fuzz::require(queued.size() <= finished.size(), "and none is there that was not finished");
  for (const auto& message : queued) {
    fuzz::require_clean(message);
    const auto is_it = [&message](const std::string& one) {
      const auto body = one.find("\r\n\r\n");
      return message.ends_with(body == std::string::npos ? std::string_view() : std::string_view(one).substr(body));
    };
    fuzz::require(std::any_of(finished.begin(), finished.end(), is_it), "no byte of a body is changed");
  }
  return without_ids(program.heard()) + std::to_string(queued.size()) + " " + std::to_string(static_cast<int>(end.how));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = fuzz::read_input(fuzz::text(data, size));
  if (input.scripts.empty()) return 0;
  fuzz::require_same(play(input, net::Faults::k_never), play(input, input.segment));
  return 0;
}
