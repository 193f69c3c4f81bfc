#include "trigger/signal.hpp"

#include <algorithm>
#include <utility>

namespace odmr::trigger {

namespace {

using net::Task;

constexpr std::size_t k_longest_told = 300;

// The last words, which are mostly those that say why.
std::string last_of(std::string heard) {
  while (!heard.empty() && (heard.back() == '\r' || heard.back() == '\n')) heard.pop_back();
  return heard.size() > k_longest_told ? "..." + heard.substr(heard.size() - k_longest_told) : heard;
}

class Signalling {
 public:
  Signalling(const Signal& signal, net::Stream stream, Log& log)
      : signal_(signal),
        expected_(signal.expected.empty() ? "\n" : signal.expected),
        stream_(std::move(stream)),
        log_(log) {}

  Task<SignalEnd> run(Duration patience, Stop& stop) {
    end_.connected = true;
    const TimePoint deadline = stream_.clock().now() + patience;
    {
      const Stop::Listener listener(stop, [this](Stop::Phase) { stream_.interrupt(); });
      co_await talk(deadline, patience);
    }
    if (stop.requested() && end_.outcome != Outcome::no_mail) end_.interrupted = true;
    if (end_.outcome == Outcome::no_mail)
      co_await stream_.finish();
    else
      stream_.close();
    co_return std::move(end_);
  }

 private:
  Task<> talk(TimePoint deadline, Duration patience) {
    trace(">", signal_.text);
    const auto sent = co_await stream_.write(signal_.text, patience);
    if (!sent) co_return lost(sent.error());
    for (bool goes_on = true; goes_on;) {
      const auto filled = co_await stream_.fill(deadline);
      if (!filled) co_return lost(filled.error());
      goes_on = !is_answered();
    }
  }

  // Looks through what has come; true: that is the end of it.
  bool is_answered() {
    const auto bytes = stream_.buffered();
    trace("<", bytes);
    // What is expected may have begun in what came before.
    const std::size_t overlap = std::min(heard_.size(), expected_.size() - 1);
    const std::size_t from = heard_.size() - overlap;
    heard_.append(bytes.substr(0, k_longest_answer - heard_.size()));
    stream_.consume(bytes.size());
    const auto at = heard_.find(expected_, from);
    if (at != std::string::npos) {
      heard_.resize(at + expected_.size());
      taken();
      return true;
    }
    if (heard_.size() < k_longest_answer) return false;
    unanswered("the answer to the signal has no end, and not what is expected");
    return true;
  }

  void taken() {
    end_.heard = last_of(heard_);
    end_.text = "the signal was taken: \"" + end_.heard + "\"";
  }

  void lost(const Error& error) {
    // finger's answer ends so (RFC 1288 2.3), with a line end or without.
    const bool has_closed = error.code == Errc::closed;
    if (has_closed && signal_.expected.empty() && !heard_.empty()) return taken();
    const auto failure = client::wire_failure(client::Step::greeting, error);
    if (has_closed) return unanswered("the answer to the signal is not what is expected");
    if (error.code == Errc::timed_out) return unanswered("what is expected did not come in time");
    end_.outcome = failure.outcome;
    end_.cause = failure.cause;
    end_.text = failure.text;
    end_.interrupted = failure.interrupted;
  }

  void unanswered(const std::string& why) {
    end_.outcome = Outcome::unavailable;
    end_.cause = Cause::signal_unanswered;
    end_.heard = last_of(heard_);
    end_.text = signal_.endpoint.text() + ": " + why + "; " +
                (heard_.empty() ? "nothing was heard" : "heard: \"" + end_.heard + "\"");
  }

  void trace(const char* way, std::string_view bytes) {
    if (log_.wants(Level::trace))
      log_.trace(way, {{"peer", stream_.peer()}, {"line", std::string(bytes.substr(0, k_longest_told))}});
  }

  const Signal& signal_;
  const std::string expected_;
  net::Stream stream_;
  Log& log_;
  std::string heard_;
  SignalEnd end_;
};

}  // namespace

Task<SignalEnd> send_signal(net::Network& network, const Signal& signal, Duration connect, Duration patience, Log& log,
                            Stop& stop, const client::OnStep* on_step) {
  auto stream = co_await network.connect(signal.endpoint, connect, stop);
  if (!stream) {
    const auto failure = client::wire_failure(client::Step::connect, stream.error());
    SignalEnd end;
    end.outcome = failure.outcome;
    end.cause = failure.cause;
    end.text = failure.text;
    end.interrupted = failure.interrupted;
    co_return end;
  }
  if (on_step != nullptr) (*on_step)(client::Reached{client::Step::connect, stream->peer(), std::nullopt});
  Signalling signalling(signal, std::move(*stream), log);
  co_return co_await signalling.run(patience, stop);
}

}  // namespace odmr::trigger
