#include "net/certificate_file.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <cerrno>
#include <cstdio>
#include <memory>

#include "net/tls_context.hpp"

namespace odmr::net {

Result<Certificate> certificate_in(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  if (!file) return fail(system_error(errno, path));
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(PEM_read_X509(file.get(), nullptr, nullptr, nullptr),
                                                                &X509_free);
  ERR_clear_error();
  if (!certificate) return fail(Errc::malformed, path + ": there is no certificate in it (PEM)");
  return facts_of(certificate.get());
}

}  // namespace odmr::net
