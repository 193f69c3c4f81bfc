#pragma once

#include <optional>
#include <string_view>

namespace odmr {

/// Why a session came to its outcome, as far as it makes a difference for what has to be done about it
/// (app/remedy.hpp says what). The local target and the smart host fail for the same causes as the provider.
enum class Cause {
  unknown,  ///< the outcome and its sentence say all there is
  stopped,  ///< a signal

  // Reaching a server.
  name_not_found,
  name_server_silent,
  connection_refused,
  host_unreachable,
  no_connection_in_time,
  socket_missing,  ///< a Unix socket
  socket_denied,
  maildir_unusable,

  // Its first words.
  no_greeting,
  greeting_refused,  ///< 5xx
  not_smtp,          ///< nor POP3 or IMAP, where that is what was meant
  hello_refused,
  put_off,  ///< 421, 451, another 4xx
  no_answer,
  line_lost,
  out_of_step,  ///< what it says does not follow the grammar, or answers nothing

  // TLS.
  starttls_not_offered,
  starttls_refused,
  not_tls,  ///< clear text where a handshake was due
  tls_handshake,
  certificate_expired,
  certificate_not_yet_valid,
  certificate_of_another_host,
  certificate_of_unknown_issuer,
  certificate_unusable,
  pin_mismatch,

  // The login.
  auth_not_offered,
  mechanism_needs_tls,
  mechanism_excluded,  ///< by `auth` in the configuration
  no_mechanism,
  credentials_unusable,
  login_refused,
  login_put_off,
  no_proof,

  // ATRN.
  not_logged_in,   ///< 530
  atrn_refused,    ///< 450
  atrn_forbidden,  ///< 5xx
  no_odmr,         ///< 500, 502, 504

  // A provider that sends by another way.
  no_etrn,            ///< not offered, or 500, 502, 504
  etrn_refused,       ///< 459, or another 5xx
  signal_unanswered,  ///< what is expected was not heard

  // The mailbox.
  folder_refused,   ///< IMAP: it is not there, or not ours
  mail_left_there,  ///< the target refuses it for good

  // The turned line.
  line_lost_in_message,
  nothing_but_errors,
  mail_put_off,
  mail_kept_here,
  target_refuses_all,

  // This host.
  line_not_up,  ///< [line] up failed
  locked,
  disk_full,
  state_of_another_user,
  state_denied,
  state_unusable,
  watched,        ///< another `odmr watch` is at work
  state_of_root,  ///< who is to use it is somebody else
  state_of_newer_version,
  state_open_to_others,  ///< they may write there
  configuration,
};
inline constexpr Cause k_last_cause = Cause::configuration;

/// The word for a cause, as `--json` and the log have it: "connection-refused" …
std::string_view name(Cause cause);
std::optional<Cause> cause_named(std::string_view word);

}  // namespace odmr
