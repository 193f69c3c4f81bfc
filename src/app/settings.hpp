#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "app/line_settings.hpp"
#include "app/peer_settings.hpp"
#include "app/places.hpp"
#include "base/clock.hpp"
#include "base/log.hpp"
#include "client/open.hpp"
#include "collect/collection.hpp"
#include "collect/open.hpp"
#include "config/document.hpp"
#include "config/secret.hpp"
#include "confine/user.hpp"
#include "deliver/target.hpp"
#include "mail/mailbox_envelope.hpp"
#include "smtp/reply.hpp"
#include "trigger/signal.hpp"

namespace odmr::app {

/// [deliver]
struct DeliverSettings {
  deliver::TargetOptions::Kind kind = deliver::TargetOptions::Kind::smtp;
  net::Endpoint endpoint;
  std::string directory;
  TlsSettings tls;
  LoginSettings login;
  bool keeps_deferred = false;                  ///< deferred = "here": what the target puts off is kept by us
  Duration lifetime = std::chrono::hours(120);  ///< of mail that is kept so
  bool soft_bounce = false;
  std::size_t breaker = 5;
  std::size_t max_connections = 4;
  std::string table = "[deliver]";  ///< in which this stands, for who is told what to change
};

/// How long a provider that refused us is left alone: `refused`, twice as long after each further time, `longest` at
/// the most.
struct RetrySettings {
  Duration refused = std::chrono::minutes(1);  ///< zero: not at all
  Duration longest = std::chrono::hours(1);
};

/// Of [provider.NAME], with protocol = "pop3" or "imap".
struct MailboxSettings {
  collect::Place place;
  collect::Keeping keeping;
  bool unseen_only = false;
  bool marks_seen = false;
  bool bounces_refused = false;
  mail::MailboxPolicy policy;      ///< whom its messages are for
  bool drops_delivered_to = true;  ///< those fields are not handed on
};

/// How mail comes from a provider.
enum class Protocol {
  odmr,    ///< over the line on which we asked for it, turned
  pop3,    ///< out of a mailbox
  imap,    ///< likewise
  etrn,    ///< some other way, when we have asked for it
  signal,  ///< likewise, asked for by a text that nothing else is said with
};

/// [provider.NAME]
struct ProviderSettings {
  std::string name;
  Protocol protocol = Protocol::odmr;
  net::Endpoint endpoint;                   ///< of Protocol::signal, where that goes
  std::vector<net::Endpoint> alternatives;  ///< further hosts, tried in turn
  WaySettings way;
  BudgetSettings budget;
  TlsSettings tls;
  LoginSettings login;
  std::vector<std::string> domains;       ///< canonical
  std::vector<std::string> nodes;         ///< of ETRN: what of those it is said for, and how
  std::optional<trigger::Signal> signal;  ///< sent before anything else
  bool atrn_all = false;
  std::uint64_t parallel = 1;   ///< ATRN sessions
  std::string recipients_file;  ///< what the provider is told of our recipients; empty: nothing
  std::uint64_t max_sessions = 1000;
  bool mend_stray_newlines = false;
  RetrySettings retry;
  DeliverSettings deliver;
  std::optional<MailboxSettings> mailbox;  ///< of Protocol::pop3 and imap

  /// Whether the mail comes by another way than the line on which we ask for it.
  bool only_asks() const { return protocol == Protocol::etrn || protocol == Protocol::signal; }
};

/// [outbound]
struct OutboundSettings {
  /// Where mail goes: the smart host, or a provider (its ODMR connection, before ATRN).
  enum class To { smart_host, provider };
  To to = To::smart_host;
  std::string provider;  ///< by name; of `to` or of `auth_as`
  net::Endpoint endpoint;
  WaySettings way;
  TlsSettings tls;
  LoginSettings login;  ///< of the smart host, `auth_as` followed
  struct PopBeforeSmtp {
    net::Endpoint endpoint;
    TlsSettings tls;
    LoginSettings login;
  };
  std::optional<PopBeforeSmtp> pop_before_smtp;
  std::size_t max_connections = 2;
  Duration lifetime = std::chrono::hours(120);
  std::optional<Duration> delay_notice;
  bool bounce_whole_message = false;
  std::string from;  ///< reverse-path and From of everything; empty: as submitted
  bool convert_8bit = false;
};

/// Whether fetching and sending wait for each other.
enum class Order { side_by_side, send_first, receive_first };

/// [outbound] command: somebody else's queue, flushed while the line is up.
struct CommandSettings {
  std::vector<std::string> command;   ///< starts the flush: `postqueue -f`
  std::vector<std::string> is_empty;  ///< prints nothing, or 0, once that queue is empty; empty: not waited for
  Duration limit = std::chrono::minutes(10);
};

/// [submit]
struct SubmitSettings {
  std::vector<std::string> listen;  ///< paths of Unix sockets, and "ADDRESS:PORT" of this machine's own
  std::uint64_t max_size = k_max_submission;
};

/// [journal]
struct JournalSettings {
  Duration duplicate_window = std::chrono::hours(7 * 24);
  Duration receipts = std::chrono::hours(90 * 24);
};

/// [watch]
struct WatchSettings {
  Duration interval = std::chrono::minutes(5);
  Duration jitter = std::chrono::seconds(30);  ///< what is added at random, at most
  Duration longest = std::chrono::hours(1);    ///< wait for a provider that refuses
  bool hold = true;                            ///< wait for mail with the line held, where the provider can
};

/// [timeouts]
struct TimeoutSettings {
  Duration connect = std::chrono::seconds(30);
  Duration command = std::chrono::minutes(5);
  Duration atrn = std::chrono::minutes(10);
  Duration idle = std::chrono::minutes(5);
  Duration data = std::chrono::minutes(10);
  Duration target = std::chrono::minutes(2);
  Duration final = std::chrono::minutes(10);
};

/// [limits]: what a provider, or any other server, may ask of us.
struct LimitSettings {
  smtp::ReplyLimits reply;
  std::size_t command_line = 2048;
  std::size_t recipients = 1000;
  std::uint64_t message_size = 0;  ///< 0: what the target takes
  std::size_t hops = 100;
  std::size_t errors = 100;
  std::size_t idle_commands = 100;
  std::uint64_t data_rate = 0;  ///< octets a second; 0: any
  std::optional<Duration> session_time;
  std::uint64_t session_size = 0;  ///< 0: any
  std::size_t header_size = std::size_t{64} * 1024;
};

/// [log], of both programs.
struct LogSettings {
  std::optional<Level> level;  ///< none: info, or warn where a progress line is shown instead
  LogFormat format = LogFormat::text;
};
LogSettings read_log(const config::Table& log);

/// odmr.toml
struct Settings {
  std::string state_dir;
  bool state_dir_is_default = false;    ///< then its parents are made too, where they are missing
  std::optional<confine::User> run_as;  ///< whom root becomes
  std::string hostname;
  Duration stop_grace = std::chrono::minutes(10);
  LogSettings log;
  std::vector<ProviderSettings> providers;  ///< in the order of the file
  DeliverSettings deliver;                  ///< where bounces of outbound mail go: [deliver], else the first provider's
  TimeoutSettings timeouts;
  LimitSettings limits;
  LineSettings line;
  std::optional<OutboundSettings> outbound;
  std::optional<CommandSettings> command;
  Order order = Order::side_by_side;
  SubmitSettings submit;
  JournalSettings journal;
  WatchSettings watch;
};

/// Reads everything; what is wrong is in the document's faults() afterwards, and the settings are worth nothing then.
Settings read_settings(config::Document& document);

/// find, read and check. Errors: what `odmr check` prints, a line each.
tl::expected<Settings, std::vector<std::string>> load_settings(const std::string& named);

}  // namespace odmr::app
