#include "app/daemon_status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "net/certificate_file.hpp"
#include "spool/lock.hpp"

namespace odmr::app {

namespace {

using std::chrono::hours;

constexpr auto k_certificate_ends_soon = hours(14 * 24);
constexpr auto k_waits_long = hours(24);
constexpr auto k_silent_long = hours(7 * 24);
constexpr std::uint64_t k_little = std::uint64_t{256} * 1024 * 1024;

using Troubles = std::vector<Trouble>;

void add_held(HeldFor& held, std::uint64_t bytes, std::optional<WallTime> arrival) {
  ++held.messages;
  held.bytes += bytes;
  if (arrival && (!held.oldest || *arrival < *held.oldest)) held.oldest = arrival;
}

std::string counted(std::uint64_t count, const std::string& noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string span(WallTime::duration duration) {
  const auto whole = std::chrono::duration_cast<hours>(duration).count();
  return whole < 48 ? counted(static_cast<std::uint64_t>(whole), "hour")
                    : counted(static_cast<std::uint64_t>(whole / 24), "day");
}

// --- what there is

struct Facts {
  std::map<std::string, provider::Call> last;
  std::map<std::string, WallTime> last_good;
  std::vector<provider::Call> under_way;
};

template <class Value>
bool put(Result<Value> read, Value& to, Troubles& troubles) {
  if (!read) {
    troubles.push_back({"calls", "what customers did cannot be read: " + read.error().text, {}});
    return false;
  }
  to = std::move(*read);
  return true;
}

// All of one moment or nothing: one that is damaged is told once.
Facts read_calls(provider::CallBook* book, WallTime now, DaemonStatus& status) {
  Facts facts;
  if (book == nullptr) return facts;
  static_cast<void>(put(book->last_calls(), facts.last, status.troubles) &&
                    put(book->last_good(), facts.last_good, status.troubles) &&
                    put(book->under_way(), facts.under_way, status.troubles) &&
                    put(book->newest(k_calls_shown), status.newest, status.troubles) &&
                    put(book->days(now, k_days_looked_back), status.days, status.troubles) &&
                    put(book->refused_logins(now - hours(24), k_addresses_shown), status.refused, status.troubles) &&
                    put(book->totals(), status.totals, status.troubles));
  return facts;
}

CustomerStatus status_of(const provider::Customer& customer, const LiveFacts& live, const Facts& facts,
                         const std::vector<provider::Call>& under_way) {
  CustomerStatus status{customer.name, customer.domains, customer.quota, {}, {}, {}, 0, 0, {}};
  if (const auto held = live.held.find(customer.name); held != live.held.end()) status.held = held->second;
  if (const auto last = facts.last.find(customer.name); last != facts.last.end()) status.last = last->second;
  if (const auto good = facts.last_good.find(customer.name); good != facts.last_good.end())
    status.last_good = good->second;
  if (const auto list = live.recipients.find(customer.name); list != live.recipients.end())
    status.recipients = list->second;
  for (const auto& call : under_way) {
    if (call.customer != customer.name) continue;
    ++status.lines;
    status.waiting += call.is_waiting ? 1 : 0;
  }
  return status;
}

void look_at_certificates(const DaemonSettings& settings, DaemonStatus& status) {
  for (const auto& one : settings.listeners) {
    if (one.tls == provider::DoorTls::none) continue;
    const auto certificate = net::certificate_in(one.certificate.certificate);
    if (certificate)
      status.certificates.push_back({one.name, certificate->not_after});
    else
      status.troubles.push_back({"listen." + one.name, certificate.error().text, {}});
  }
}

// The oldest of a folder, and how many there are.
std::optional<WallTime> look_into(const std::string& spool, provider::Folder folder, std::uint64_t& count,
                                  Troubles& troubles) {
  const auto store = provider::open_folder(spool, folder);
  const auto listing = store ? store->list() : fail(store.error());
  if (!listing) {
    troubles.push_back({"spool", listing.error().text, {}});
    return std::nullopt;
  }
  count = listing->ids.size();
  return listing->ids.empty() ? std::nullopt : spool::Store::arrival_of(listing->ids.front());
}

void look_at_refused_mail(const DaemonSettings& settings, DaemonStatus& status) {
  const auto oldest = look_into(settings.spool, provider::Folder::bounces, status.bounces, status.troubles);
  static_cast<void>(look_into(settings.spool, provider::Folder::failed, status.failed, status.troubles));
  if (!oldest || status.now - *oldest < k_waits_long) return;
  status.troubles.push_back(
      {"bounces", fmt::format("{} refused for good, and no sender has been told", counted(status.bounces, "message")),
       "odmrd spool --bounces lists them, with the replies"});
}

// --- what is wrong with it

void judge_certificates(DaemonStatus& status) {
  for (const auto& one : status.certificates) {
    const auto left = one.until - status.now;
    if (left > k_certificate_ends_soon) continue;
    const bool is_over = left < WallTime::duration::zero();
    status.troubles.push_back({"listen." + one.listener,
                               is_over ? "the certificate has ended: no customer trusts it any more"
                                       : "the certificate ends in " + span(left),
                               "put another one in its place, then systemctl reload odmrd"});
  }
}

void judge_space(const DaemonSettings& settings, DaemonStatus& status) {
  if (!status.free_space || *status.free_space >= k_little) return;
  status.troubles.push_back({"spool", fmt::format("{} MiB are free in {}", *status.free_space >> 20U, settings.spool),
                             "make room: below 16 MiB an intake takes no more mail (452)"});
}

void judge(const CustomerStatus& customer, WallTime now, Troubles& troubles) {
  const auto& held = customer.held;
  const bool is_silent = !customer.last_good || now - *customer.last_good > k_waits_long;
  if (held.oldest && now - *held.oldest > k_waits_long && is_silent && customer.lines == 0) {
    const std::string since = customer.last_good ? "for " + span(now - *customer.last_good) : std::string("so far");
    troubles.push_back({customer.name,
                        fmt::format("{} held, the oldest for {}, and no good call {}",
                                    counted(held.messages, "message"), span(now - *held.oldest), since),
                        "ask the customer whether its odmr runs; its last call says how far it came"});
  } else if (customer.last_good && now - *customer.last_good > k_silent_long && customer.lines == 0) {
    troubles.push_back({customer.name, "no good call for " + span(now - *customer.last_good),
                        "ask the customer whether its odmr runs"});
  }
  if (customer.quota > 0 && held.bytes >= customer.quota / 10 * 9) {
    troubles.push_back({customer.name, fmt::format("{} % of its quota are used", held.bytes * 100 / customer.quota),
                        "when it is full, mail for it is put off (452)"});
  }
}

bool is_served(const std::string& spool) {
  const auto lock = spool::DirectoryLock::take(spool);
  return !lock && lock.error().code == Errc::busy;
}

}  // namespace

HeldByCustomer held_by_customer(const HeldList& list, const DaemonSettings& settings) {
  const auto customers = customers_without_secrets(settings);
  HeldByCustomer held;
  for (const auto& message : list.messages) {
    std::set<std::string> names;
    for (const auto& one : message.recipients) {
      const auto* customer = one.is_done ? nullptr : customers.with_domain(one.domain);
      if (customer != nullptr) names.insert(customer->name);
    }
    for (const auto& name : names) add_held(held[name], message.size, message.arrival);
  }
  return held;
}

HeldByCustomer held_by_customer(const provider::HeldMail& mail, const DaemonSettings& settings) {
  HeldByCustomer all;
  for (const auto& one : settings.customers) {
    const auto sums = mail.waiting().sums(one.customer.domains);
    HeldFor held{sums.messages, sums.octets, std::nullopt};
    if (const auto first = mail.next_for(one.customer.domains, "")) held.oldest = spool::Store::arrival_of(first->id);
    all[one.customer.name] = held;
  }
  return all;
}

RecipientsByCustomer recipients_by_customer(
    const DaemonSettings& settings,
    const std::function<std::shared_ptr<const provider::RecipientList>(const std::string& customer)>& list_of) {
  RecipientsByCustomer all;
  for (const auto& one : settings.customers) {
    if (!one.customer.uploads_recipients) continue;
    const auto list = list_of(one.customer.name);
    if (list) all[one.customer.name] = {list->count(), list->uploaded};
  }
  return all;
}

DaemonStatus daemon_status(const DaemonSettings& settings, LiveFacts live, provider::CallBook* book, WallTime now) {
  DaemonStatus status;
  status.now = now;
  status.hostname = settings.session.hostname;
  status.runs = live.runs;
  status.troubles = std::move(live.troubles);
  auto facts = read_calls(book, now, status);
  if (live.under_way)
    status.under_way = std::move(*live.under_way);
  else if (live.runs)
    status.under_way = std::move(facts.under_way);
  for (const auto& one : settings.customers)
    status.customers.push_back(status_of(one.customer, live, facts, status.under_way));
  look_at_certificates(settings, status);
  look_at_refused_mail(settings, status);
  if (const auto free = free_space(settings.spool)) status.free_space = *free;
  judge_space(settings, status);
  judge_certificates(status);
  for (const auto& one : status.customers) judge(one, now, status.troubles);
  return status;
}

Result<DaemonStatus> daemon_status_of(const DaemonSettings& settings, WallTime now) {
  const auto listed = list_held(settings.spool, provider::Folder::held);
  if (!listed) return fail(listed.error());
  LiveFacts live{held_by_customer(*listed, settings), std::nullopt, {}, is_served(settings.spool)};
  if (!live.runs) {
    live.troubles.push_back({"odmrd", "nobody serves this spool, and no customer gets mail",
                             "systemctl start odmrd; systemctl status odmrd says why it has ended"});
  }
  for (const auto& line : listed->unreadable)
    live.troubles.push_back({"spool", line, "look at the file, and the disk"});
  live.recipients = recipients_by_customer(settings, [&](const std::string& customer) {
    auto list = provider::read_recipient_list(settings.spool, customer);
    if (list) return std::move(*list);
    live.troubles.push_back({customer, "its recipients cannot be read, and all are taken: " + list.error().text,
                             "its odmr tells them again when the file is gone, and odmrd is started anew"});
    return std::shared_ptr<const provider::RecipientList>();
  });
  auto book = provider::CallBook::open_to_read(settings.spool);
  if (!book) live.troubles.push_back({"calls", "what customers did cannot be read: " + book.error().text, {}});
  return daemon_status(settings, std::move(live), book && *book ? &**book : nullptr, now);
}

}  // namespace odmr::app
