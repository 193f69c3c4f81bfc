#include "app/sendmail_direct.hpp"

#include <sysexits.h>

#include <numeric>

#include "app/submit.hpp"
#include "mail/received.hpp"
#include "send/stored_message.hpp"

namespace odmr::app {

namespace {

tl::unexpected<SendmailFailure> failed(int exit, std::string text) {
  return tl::unexpected(SendmailFailure{exit, std::move(text)});
}

class LocalContent final : public client::Content {
 public:
  explicit LocalContent(LocalMessage& message) : message_(message) {}
  Result<std::size_t> read(char* into, std::size_t size) override {
    const auto count = message_.read(into, size);
    if (!count) return fail(Errc::io, count.error().text);
    return *count;
  }

 private:
  LocalMessage& message_;
};

}  // namespace

Sent<> sendmail_direct(const SendmailOptions& options, const Settings& settings, int input, WallTime now, Log& log) {
  if (options.recipients.empty() && !options.from_header) return failed(EX_USAGE, "no recipient is named");
  const Submitter submitter;
  auto message = LocalMessage::read(options, input);
  if (!message) return tl::unexpected(message.error());
  if (auto complete = message->complete(options, submitter, settings.hostname, now); !complete) return complete;
  std::vector<std::size_t> all(message->envelope().recipients.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  const auto envelope = send::envelope_for(message->envelope(), all, message->size(), {});
  if (!envelope) return failed(EX_USAGE, envelope.error().text);
  const auto trace = mail::format(local_trace(message->envelope(), submitter, settings.hostname));
  LocalContent content(*message);
  const auto result = send_direct(settings, *envelope, trace, content, log);
  return result.exit == 0 ? Sent<>() : failed(result.exit, result.text);
}

}  // namespace odmr::app
