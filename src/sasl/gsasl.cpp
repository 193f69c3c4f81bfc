#include "sasl/gsasl.hpp"

#include <array>
#include <cstring>

namespace odmr::sasl {
namespace {

int dispatch(Gsasl* /*context*/, Gsasl_session* session, Gsasl_property wanted) {
  if (session == nullptr) return GSASL_NO_CALLBACK;
  auto* asked = static_cast<Asked*>(gsasl_session_hook_get(session));
  return asked == nullptr ? GSASL_NO_CALLBACK : asked->answer(session, wanted);
}

struct EndContext {
  void operator()(Gsasl* context) const { gsasl_done(context); }
};

/// One for the process: it holds the list of mechanisms and nothing of a session.
Gsasl* context() {
  static const std::unique_ptr<Gsasl, EndContext> only([] {
    Gsasl* made = nullptr;
    if (gsasl_init(&made) != GSASL_OK) return static_cast<Gsasl*>(nullptr);
    gsasl_callback_set(made, dispatch);
    return made;
  }());
  return only.get();
}

using Start = int (*)(Gsasl*, const char*, Gsasl_session**);

Result<Session> start(Start begin, Mechanism mechanism) {
  if (context() == nullptr) return fail(Errc::io, "libgsasl does not start");
  Gsasl_session* session = nullptr;
  const int code = begin(context(), std::string(name(mechanism)).c_str(), &session);
  if (code != GSASL_OK) {
    return fail(Errc::io, "libgsasl does not start " + std::string(name(mechanism)) + ": " + gsasl_strerror(code));
  }
  return Session(session);
}

/// libgsasl frees its copies as they are. The buffer is on the heap and its own, const only to keep callers tidy.
void wipe_property(Gsasl_session* session, Gsasl_property property) {
  const char* value = gsasl_property_fast(session, property);
  if (value != nullptr) explicit_bzero(const_cast<char*>(value), std::strlen(value));
}

}  // namespace

void EndSession::operator()(Gsasl_session* session) const {
  for (const Gsasl_property secret : {GSASL_PASSWORD, GSASL_SCRAM_SALTED_PASSWORD, GSASL_SCRAM_SERVERKEY,
                                      GSASL_SCRAM_STOREDKEY, GSASL_CB_TLS_EXPORTER}) {
    wipe_property(session, secret);
  }
  gsasl_finish(session);
}

Result<Session> start_client(Mechanism mechanism) {
  return start(gsasl_client_start, mechanism);
}

Result<Session> start_server(Mechanism mechanism, Asked& asked) {
  auto session = start(gsasl_server_start, mechanism);
  if (session) gsasl_session_hook_set(session->get(), &asked);
  return session;
}

bool set(Gsasl_session* session, Gsasl_property property, std::string_view value) {
  if (value.find('\0') != value.npos) return false;
  return gsasl_property_set_raw(session, property, value.data(), value.size()) == GSASL_OK;
}

std::string_view get(Gsasl_session* session, Gsasl_property property) {
  const char* value = gsasl_property_fast(session, property);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

Stepped step(Gsasl_session* session, std::string_view input) {
  Stepped result;
  char* bytes = nullptr;
  std::size_t size = 0;
  result.code = gsasl_step(session, input.data(), input.size(), &bytes, &size);
  // After an error the buffer may be anything.
  if (result.code != GSASL_OK && result.code != GSASL_NEEDS_MORE) return result;
  if (bytes == nullptr) return result;
  result.output.assign(bytes, size);
  explicit_bzero(bytes, size);
  gsasl_free(bytes);
  return result;
}

std::optional<std::string> saslprep(std::string_view text) {
  if (text.find('\0') != text.npos) return std::nullopt;
  std::string copy(text);
  char* prepared = nullptr;
  const int code = gsasl_saslprep(copy.c_str(), GSASL_ALLOW_UNASSIGNED, &prepared, nullptr);
  explicit_bzero(copy.data(), copy.size());
  if (code != GSASL_OK || prepared == nullptr) return std::nullopt;
  std::string result(prepared);
  explicit_bzero(prepared, result.size());
  gsasl_free(prepared);
  return result;
}

Errc errc_of(int code) {
  switch (code) {
    case GSASL_MECHANISM_PARSE_ERROR:
    case GSASL_BASE64_ERROR:
    case GSASL_MECHANISM_CALLED_TOO_MANY_TIMES:
      return Errc::malformed;
    case GSASL_AUTHENTICATION_ERROR:
    case GSASL_INTEGRITY_ERROR:
    case GSASL_SASLPREP_ERROR:
    case GSASL_NO_PASSWORD:
    case GSASL_NO_AUTHID:
    case GSASL_NO_AUTHZID:
      return Errc::denied;
    default:
      return Errc::io;
  }
}

}  // namespace odmr::sasl
