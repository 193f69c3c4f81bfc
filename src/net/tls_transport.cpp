#include "net/tls_transport.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <new>

#include "base/ascii.hpp"
#include "net/tls_context.hpp"
#include "net/tls_resumption.hpp"

namespace odmr::net {

namespace {

constexpr std::size_t k_first_raw_buffer = 32 * 1024;
constexpr std::size_t k_largest_raw_buffer = 256 * 1024;
constexpr std::size_t k_write_piece = 64 * 1024;
constexpr std::size_t k_undecodable = 64;
constexpr auto k_rest_of_line = std::chrono::seconds(1);

Cause cause_of(long verdict) {
  switch (verdict) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return Cause::certificate_expired;
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return Cause::certificate_not_yet_valid;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return Cause::certificate_of_another_host;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return Cause::certificate_of_unknown_issuer;
    case X509_V_ERR_APPLICATION_VERIFICATION:
      return Cause::pin_mismatch;
    default:
      return Cause::certificate_unusable;
  }
}

// The one clock that OpenSSL goes by.
std::string clock_text() {
  return fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(std::time(nullptr)));
}

std::string list_of_pins(const std::vector<std::string>& pins) {
  std::string out;
  for (const auto& one : pins) out += (out.empty() ? "" : ", ") + format_pin(one);
  return out;
}

}  // namespace

TlsTransport::TlsTransport(std::unique_ptr<Transport> below, std::shared_ptr<TlsContext> context, Role role,
                           const std::string& server_name, Clock& clock)
    : below_(std::move(below)),
      context_(std::move(context)),
      clock_(clock),
      server_name_(server_name),
      ssl_(SSL_new(context_->impl().get())),
      in_(BIO_new(BIO_s_mem())),
      out_(BIO_new(BIO_s_mem())),
      raw_(k_first_raw_buffer) {
  if (ssl_ == nullptr || in_ == nullptr || out_ == nullptr) throw std::bad_alloc();
  BIO_set_mem_eof_return(in_, -1);
  SSL_set_bio(ssl_, in_, out_);
  SSL_set_msg_callback(ssl_, note_header);
  SSL_set_msg_callback_arg(ssl_, this);
  if (role == Role::server) {
    SSL_set_accept_state(ssl_);
    return;
  }
  SSL_set_connect_state(ssl_);
  SSL_set_app_data(ssl_, &shown_);
  X509_VERIFY_PARAM* demands = SSL_get0_param(ssl_);
  // RFC 9525: names are in subjectAltName, and a wildcard is a whole label.
  X509_VERIFY_PARAM_set_hostflags(demands, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  if (X509_VERIFY_PARAM_set1_ip_asc(demands, server_name.c_str()) != 1) {
    X509_VERIFY_PARAM_set1_host(demands, server_name.c_str(), server_name.size());
    SSL_set_tlsext_host_name(ssl_, server_name.c_str());
  }
  if (context_->impl().tickets) offer_ticket(ssl_, context_->impl(), server_name);
}

TlsTransport::~TlsTransport() {
  SSL_free(ssl_);
}

void TlsTransport::note_header(int write_p, int /*version*/, int content_type, const void* bytes, std::size_t size,
                               ssl_st* /*ssl*/, void* self) {
  if (write_p != 0 || content_type != SSL3_RT_HEADER) return;
  static_cast<TlsTransport*>(self)->last_header_.assign(static_cast<const char*>(bytes), size);
}

// OpenSSL asks for more only when it has taken all of the last lot.
Task<Result<void>> TlsTransport::feed(TimePoint deadline) {
  if (is_raw_too_small_) raw_.resize(raw_.size() * 2);
  is_raw_too_small_ = false;
  const auto count = co_await below_->read_some(raw_, deadline);
  if (!count) co_return fail(count.error());
  // There is more where that came from, and larger reads are cheaper.
  is_raw_too_small_ = *count == raw_.size() && raw_.size() < k_largest_raw_buffer;
  fed_ = *count;
  in_ = BIO_new_mem_buf(raw_.data(), static_cast<int>(*count));
  if (in_ == nullptr) throw std::bad_alloc();
  BIO_set_mem_eof_return(in_, -1);
  SSL_set0_rbio(ssl_, in_);
  co_return Result<void>();
}

Task<Result<void>> TlsTransport::flush(Duration patience) {
  // The reader may have something to send while the writer does: who is at it takes that along.
  if (is_flushing_) co_return Result<void>();
  is_flushing_ = true;
  Result<void> written;
  for (;;) {
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(out_, &bytes);
    if (size <= 0 || !written) break;
    sending_.assign(bytes, static_cast<std::size_t>(size));
    BIO_reset(out_);
    written = co_await below_->write(sending_, patience);
  }
  is_flushing_ = false;
  co_return written;
}

Error TlsTransport::failure(const std::string& doing) {
  const long verdict = SSL_get_verify_result(ssl_);
  if (verdict != X509_V_OK && !SSL_is_server(ssl_)) {
    ERR_clear_error();
    return not_accepted(verdict);
  }
  const bool is_clear_text = ERR_GET_REASON(ERR_peek_error()) == SSL_R_WRONG_VERSION_NUMBER;
  return Error{Errc::tls, doing + ": " + openssl_words("the peer broke TLS off"),
               is_clear_text ? Cause::not_tls : Cause::unknown};
}

// What was expected, and what was found.
Error TlsTransport::not_accepted(long verdict) const {
  const Cause cause = cause_of(verdict);
  std::string text = "the certificate of " + server_name_ + " is not accepted: ";
  text += cause == Cause::pin_mismatch
              ? "its public key is none of those in 'pin', " + list_of_pins(context_->impl().pins)
              : std::string(X509_verify_cert_error_string(verdict));
  if (shown_) text += " (" + in_words(*shown_) + ")";
  if (cause == Cause::certificate_expired || cause == Cause::certificate_not_yet_valid) {
    text += "; the clock here says " + clock_text();
  }
  return Error{Errc::untrusted, text, cause};
}

Task<Result<void>> TlsTransport::handshake(TimePoint deadline) {
  for (;;) {
    ERR_clear_error();
    const int done = SSL_do_handshake(ssl_);
    const int error = done == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_, done);
    std::optional<Error> failed;
    if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ) failed = failure("TLS handshake");
    // Also after a failure: the alert tells the other side why.
    const auto flushed = co_await flush(std::max(deadline - clock_.now(), Duration::zero()));
    if (failed) co_return fail(*failed);
    if (!flushed) co_return fail(flushed.error());
    if (error == SSL_ERROR_NONE) co_return Result<void>();
    const auto fed = co_await feed(deadline);
    if (!fed && (fed.error().code == Errc::closed || fed.error().code == Errc::lost)) {
      co_return fail(Errc::tls, "TLS handshake: " + fed.error().text);
    }
    if (!fed) co_return fail(fed.error());
  }
}

TlsFacts TlsTransport::facts() const {
  TlsFacts facts;
  facts.version = SSL_get_version(ssl_);
  facts.cipher = SSL_get_cipher_name(ssl_);
  if (SSL_version(ssl_) >= TLS1_3_VERSION) {
    constexpr std::string_view label = "EXPORTER-Channel-Binding";  // RFC 9266 2
    facts.exporter.resize(32);
    if (SSL_export_keying_material(ssl_, reinterpret_cast<unsigned char*>(facts.exporter.data()), 32, label.data(),
                                   label.size(), nullptr, 0, 1) != 1) {
      facts.exporter.clear();
    }
  }
  X509* certificate = SSL_get0_peer_certificate(ssl_);
  facts.certificate = shown_;
  facts.is_resumed = SSL_session_reused(ssl_) == 1;
  if (facts.is_resumed && certificate != nullptr && !SSL_is_server(ssl_)) facts.certificate = facts_of(certificate);
  facts.peer_pin = public_key_pin(certificate);
  if (certificate != nullptr && SSL_get_verify_result(ssl_) == X509_V_OK) {
    facts.peer_names = names_of(certificate);
    facts.peer_common_name = common_name_of(certificate);
  }
  return facts;
}

Task<Result<std::size_t>> TlsTransport::read_some(std::span<char> into, TimePoint deadline) {
  for (;;) {
    const std::size_t count = broken_ ? 0 : decrypt(into);
    if (count > 0) co_return count;
    if (broken_) {
      if (broken_->code != Errc::closed && undecodable_.empty()) co_await read_undecodable();
      co_return fail(*broken_);
    }
    // A key update, or an alert, may have to go out before more comes in.
    const auto flushed = co_await flush(std::max(deadline - clock_.now(), Duration::zero()));
    if (!flushed) co_return fail(flushed.error());
    const auto fed = co_await feed(deadline);
    if (!fed && fed.error().code == Errc::closed) {
      co_return fail(Errc::lost, peer() + ": connection ended without TLS close_notify");
    }
    if (!fed) co_return fail(fed.error());
  }
}

// All that is there in whole records, so that whoever passes it on does so in one: a single one has 16 KiB at most. Of
// what else is behind them OpenSSL must not know yet: once it has seen something wrong, it does not write either, and
// what was read before may have to be answered.
std::size_t TlsTransport::decrypt(std::span<char> into) {
  std::size_t filled = 0;
  do {
    ERR_clear_error();
    std::size_t count = 0;
    const int done = SSL_read_ex(ssl_, into.data() + filled, into.size() - filled, &count);
    if (done != 1) {
      const int error = SSL_get_error(ssl_, done);
      if (error == SSL_ERROR_ZERO_RETURN)
        broken_ = Error{Errc::closed, peer() + ": connection closed"};
      else if (error != SSL_ERROR_WANT_READ)
        broken_ = failure(peer());
      break;
    }
    filled += count;
  } while (filled < into.size() && has_whole_record());
  return filled;
}

// RFC 8446 5.1: type, version and length, before the record itself.
bool TlsTransport::has_whole_record() const {
  constexpr std::size_t k_header = 5;
  const std::size_t left = BIO_ctrl_pending(in_);
  if (left < k_header || left > fed_) return false;
  const char* const header = raw_.data() + fed_ - left;
  const auto octet = [header](int i) { return static_cast<std::size_t>(static_cast<unsigned char>(header[i])); };
  return octet(0) == SSL3_RT_APPLICATION_DATA && left >= k_header + (octet(3) << 8U) + octet(4);
}

// What stands where a record should begin may be a line in clear text, and the rest of it still be on its way.
Task<> TlsTransport::read_undecodable() {
  const TimePoint deadline = clock_.now() + k_rest_of_line;
  undecodable_ = last_header_;
  for (;;) {
    std::string rest(k_undecodable - std::min(k_undecodable, undecodable_.size()), '\0');
    const int more = BIO_read(in_, rest.data(), static_cast<int>(rest.size()));
    if (more > 0) undecodable_ += rest.substr(0, static_cast<std::size_t>(more));
    if (undecodable_.size() >= k_undecodable || undecodable_.find('\n') != std::string::npos) co_return;
    const auto fed = co_await feed(deadline);
    if (!fed) co_return;
  }
}

Task<Result<void>> TlsTransport::write(std::string_view bytes, Duration patience) {
  while (!bytes.empty()) {
    ERR_clear_error();
    std::size_t count = 0;
    const auto piece = std::min(bytes.size(), k_write_piece);
    // A memory BIO never blocks, and renegotiation is off: SSL_write wants nothing but to write.
    if (SSL_write_ex(ssl_, bytes.data(), piece, &count) != 1) co_return fail(failure(peer()));
    bytes.remove_prefix(count);
    if (BIO_ctrl_pending(out_) < k_write_piece && !bytes.empty()) continue;
    const auto flushed = co_await flush(patience);
    if (!flushed) co_return fail(flushed.error());
  }
  co_return Result<void>();
}

Task<void> TlsTransport::finish(TimePoint deadline) {
  ERR_clear_error();
  if (SSL_is_init_finished(ssl_)) SSL_shutdown(ssl_);
  co_await flush(std::max(deadline - clock_.now(), Duration::zero()));
  co_await below_->finish(deadline);
}

}  // namespace odmr::net
