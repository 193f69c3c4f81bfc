#include "app/enqueue.hpp"

#include <algorithm>
#include <utility>

#include "base/ascii.hpp"
#include "base/outcome.hpp"
#include "mail/header.hpp"
#include "mail/line_ends.hpp"
#include "provider/spool_folders.hpp"
#include "queue/needs.hpp"
#include "smtp/path.hpp"

namespace odmr::app {

namespace {

using Failed = tl::unexpected<EnqueueFailure>;
template <class T = void>
using Attempt = tl::expected<T, EnqueueFailure>;

constexpr int k_data_error = 65;
constexpr int k_no_user = 67;
constexpr int k_try_again = 75;

constexpr std::size_t k_piece = 64 * 1024;
// What is looked at before the envelope is written: the header has to end within.
constexpr std::size_t k_head = 1024 * 1024;

Failed failed(int exit, std::string text) {
  return Failed(EnqueueFailure{exit, std::move(text)});
}
// A full disk, a spool that cannot be written: for the MTA that calls us this has to be "later". 73 would bounce the
// mail there (Postfix's pipe(8) defers for 71 and 75 alone).
Failed failed(const Error& error) {
  return failed(k_try_again, error.text);
}

struct Addressed {
  smtp::Path sender;
  std::vector<std::pair<const provider::Customer*, smtp::Mailbox>> recipients;
};

Attempt<smtp::Path> parse_sender(const std::string& text) {
  smtp::Path path;
  path.is_null = true;
  if (text.empty() || text == "<>") return path;
  const auto parsed = smtp::parse_path(text, true, false);
  if (parsed && parsed->rest.empty()) return parsed->path;
  return failed(k_exit_usage, "the sender \"" + escape(text) + "\" is no address");
}

// Every recipient is looked at before anything is stored.
Attempt<Addressed> address(const provider::Customers& customers, const std::string& sender,
                           const std::vector<std::string>& recipients) {
  Addressed addressed;
  const auto path = parse_sender(sender);
  if (!path) return Failed(path.error());
  addressed.sender = *path;
  for (const auto& text : recipients) {
    const auto parsed = smtp::parse_path(text, false, false);
    if (!parsed || !parsed->rest.empty()) {
      return failed(k_exit_usage, "the recipient \"" + escape(text) + "\" is no address");
    }
    const auto& mailbox = parsed->path.mailbox;
    const auto domain = smtp::canonical_domain(mailbox.domain);
    const auto* customer = domain ? customers.with_domain(*domain) : nullptr;
    if (customer == nullptr) return failed(k_no_user, "no customer has the domain of " + escape(text));
    addressed.recipients.emplace_back(customer, mailbox);
  }
  return addressed;
}

// The message as it comes, piece by piece.
class Input {
 public:
  Input(int file, FileOps& files) : file_(file), files_(files), raw_(k_piece, '\0') {}

  bool is_over() const { return is_over_; }
  /// Appends the next piece to `out`.
  Attempt<> read(std::string& out) {
    const auto count = files_.read(file_, raw_.data(), raw_.size());
    if (!count) return failed(k_try_again, "the message cannot be read: " + count.error().text);
    is_over_ = *count == 0;
    const bool sound = line_ends_.pass(std::string_view(raw_).substr(0, *count), out);
    if (sound && (!is_over_ || line_ends_.may_end())) return {};
    return failed(k_data_error, "the message has a CR without LF, and cannot be sent as it is");
  }

 private:
  int file_;
  FileOps& files_;
  std::string raw_;
  mail::LineEnds line_ends_;
  bool is_over_ = false;
};

// The first mebibyte, most often all of it.
Attempt<std::string> read_head(Input& input) {
  std::string head;
  while (!input.is_over() && head.size() < k_head) {
    if (auto read = input.read(head); !read) return Failed(read.error());
  }
  return head;
}

// What the transaction will have to ask for, as far as it shows: of what is behind the head the worst is assumed, which
// for 8BITMIME costs nothing.
Attempt<spool::Attributes> attributes(const Addressed& addressed, std::string_view head, bool is_all) {
  mail::HeaderWatch watch(k_head);
  watch.see(head);
  if (!watch.is_over() && !is_all) return failed(k_data_error, "the message's header is longer than a mebibyte");
  const bool by_envelope = addressed.sender.mailbox.needs_smtputf8() ||
                           std::any_of(addressed.recipients.begin(), addressed.recipients.end(),
                                       [](const auto& one) { return one.second.needs_smtputf8(); });
  return queue::needs_of(by_envelope, watch.header(), !is_all || !is_ascii(head));
}

// A customer's copy under way.
struct Copy {
  const provider::Customer* customer;
  spool::Envelope envelope;
  std::optional<spool::Store::Draft> draft;
};

std::vector<Copy> split_by_customer(const Addressed& addressed, const spool::Attributes& attributes, WallTime now) {
  std::vector<Copy> copies;
  for (const auto& [customer, mailbox] : addressed.recipients) {
    auto copy = std::find_if(copies.begin(), copies.end(),
                             [wanted = customer](const Copy& one) { return one.customer == wanted; });
    if (copy == copies.end()) {
      copies.push_back({customer, spool::Envelope{now, addressed.sender.text(), attributes, {}}, std::nullopt});
      copy = copies.end() - 1;
    }
    copy->envelope.recipients.push_back({mailbox.text(), {}});
  }
  return copies;
}

Attempt<> write(std::vector<Copy>& copies, std::string_view piece) {
  for (auto& copy : copies) {
    if (auto written = copy.draft->write(piece); !written) return failed(written.error());
  }
  return {};
}

Attempt<> fill(spool::Store& store, std::vector<Copy>& copies, std::string_view head, Input& input) {
  for (auto& copy : copies) {
    auto draft = store.begin(copy.envelope);
    if (!draft) return failed(draft.error());
    copy.draft.emplace(std::move(*draft));
  }
  if (auto written = write(copies, head); !written) return written;
  std::string piece;
  while (!input.is_over()) {
    piece.clear();
    if (auto read = input.read(piece); !read) return read;
    if (auto written = write(copies, piece); !written) return written;
  }
  return {};
}

Attempt<std::vector<Enqueued>> commit(spool::Store& store, std::vector<Copy>& copies) {
  std::vector<Enqueued> done;
  for (auto& copy : copies) {
    auto id = copy.draft->commit();
    if (!id) {
      // Whoever hands us the message will do so again, for all recipients.
      for (const auto& one : done) static_cast<void>(store.remove(one.id));
      return failed(id.error());
    }
    done.push_back({*id, copy.customer->name, {}});
    for (const auto& recipient : copy.envelope.recipients) done.back().recipients.push_back(recipient.address);
  }
  return done;
}

}  // namespace

tl::expected<std::vector<Enqueued>, EnqueueFailure> enqueue(const DaemonSettings& settings, const std::string& sender,
                                                            const std::vector<std::string>& recipients, int input,
                                                            WallTime now, FileOps& files) {
  const auto customers = customers_without_secrets(settings);
  const auto addressed = address(customers, sender, recipients);
  if (!addressed) return Failed(addressed.error());
  auto store = provider::open_folder(settings.spool, provider::Folder::held, files);
  if (!store) return failed(store.error());

  Input message(input, files);
  const auto head = read_head(message);
  if (!head) return Failed(head.error());
  const auto noted = attributes(*addressed, *head, message.is_over());
  if (!noted) return Failed(noted.error());
  auto copies = split_by_customer(*addressed, *noted, now);
  if (auto filled = fill(*store, copies, *head, message); !filled) return Failed(filled.error());
  return commit(*store, copies);
}

}  // namespace odmr::app
