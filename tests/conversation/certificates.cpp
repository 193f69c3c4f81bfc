#include "certificates.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <stdexcept>

namespace odmr::conversation {

namespace {

constexpr long k_day = 24L * 60 * 60;

struct Freed {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using Key = std::unique_ptr<EVP_PKEY, Freed>;
using Certificate = std::unique_ptr<X509, Freed>;
using File = std::unique_ptr<std::FILE, Freed>;

struct Identity {
  Key key;
  Certificate certificate;
};

void add_extension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  if (extension == nullptr) throw std::runtime_error(std::string("certificate extension: ") + value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

void set_name(X509_NAME* name, const std::string& common_name) {
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(common_name.c_str()), -1,
                             -1, 0);
}

// "odmr.example.net\0.attacker.example", which a comparison of C strings takes for ours (CVE-2009-2666).
void add_name_with_nul(X509* certificate) {
  const std::string text("odmr.example.net\0.attacker.example", 34);
  ASN1_IA5STRING* string = ASN1_IA5STRING_new();
  ASN1_STRING_set(string, text.data(), static_cast<int>(text.size()));
  GENERAL_NAME* name = GENERAL_NAME_new();
  GENERAL_NAME_set0_value(name, GEN_DNS, string);
  GENERAL_NAMES* names = GENERAL_NAMES_new();
  sk_GENERAL_NAME_push(names, name);
  X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, X509V3_ADD_APPEND);
  GENERAL_NAMES_free(names);
}

// What is unusual about a certificate.
struct Unusual {
  long begins_in = -2 * k_day;
  const char* usage = nullptr;
  bool is_ca = false;
  bool has_nul = false;
};

// Ed25519: made in no time, and its signatures always have the same length, so that runs can be compared byte by byte.
Identity make(const std::string& common_name, const std::string& names, long ends_in, const Identity* issuer,
              const Unusual& unusual = {}) {
  Identity made{Key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")), Certificate(X509_new())};
  X509* certificate = made.certificate.get();
  X509* signer = issuer == nullptr ? certificate : issuer->certificate.get();
  static long serial = 1000;
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), unusual.begins_in);
  X509_gmtime_adj(X509_getm_notAfter(certificate), ends_in);
  set_name(X509_get_subject_name(certificate), common_name);
  X509_set_issuer_name(certificate, X509_get_subject_name(signer));
  X509_set_pubkey(certificate, made.key.get());
  if (issuer == nullptr || unusual.is_ca) add_extension(certificate, signer, NID_basic_constraints, "critical,CA:TRUE");
  if (!names.empty()) add_extension(certificate, signer, NID_subject_alt_name, names.c_str());
  if (unusual.usage != nullptr) add_extension(certificate, signer, NID_ext_key_usage, unusual.usage);
  if (unusual.has_nul) add_name_with_nul(certificate);
  X509_sign(certificate, issuer == nullptr ? made.key.get() : issuer->key.get(), nullptr);
  return made;
}

class Folder {
 public:
  Folder() {
    std::string path = (std::filesystem::temp_directory_path() / "odmr-conversation-XXXXXX").string();
    if (mkdtemp(path.data()) == nullptr) throw std::runtime_error("no temporary directory");
    path_ = path;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string put(const std::string& name, const Identity& identity) const {
    const std::string path = path_ + "/" + name + ".pem";
    const File file(std::fopen(path.c_str(), "w"));
    PEM_write_X509(file.get(), identity.certificate.get());
    PEM_write_PrivateKey(file.get(), identity.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    return path;
  }

 private:
  std::string path_;
};

std::shared_ptr<net::TlsContext> or_throw(Result<std::shared_ptr<net::TlsContext>> context) {
  if (!context) throw std::runtime_error(context.error().text);
  return *context;
}

class Contexts {
 public:
  Contexts() {
    const std::string names = "DNS:odmr.example.net,DNS:localhost";
    const Identity ca = make("Test CA", "", k_day, nullptr);
    const Identity other_ca = make("Another CA", "", k_day, nullptr);
    add("good", make("odmr.example.net", names, k_day, &ca));
    add("wrong-name", make("odmr.example.net", "DNS:mail.example.org", k_day, &ca));
    add("expired", make("odmr.example.net", names, -k_day, &ca));
    add("stranger", make("odmr.example.net", names, k_day, &other_ca));
    add("wildcard", make("odmr.example.net", "DNS:*.example.net,DNS:localhost", k_day, &ca));
    add_bad_ones(names, ca);
    ca_file = folder.put("ca", ca);
    client = or_throw(net::TlsContext::client(net::TlsClientOptions{ca_file, {}, {}, {}}));
  }

  Folder folder;
  std::string ca_file;
  std::shared_ptr<net::TlsContext> client;
  std::map<std::string, std::shared_ptr<net::TlsContext>> servers;

 private:
  // Each by the CA that the client trusts.
  void add_bad_ones(const std::string& names, const Identity& ca) {
    const std::string host = "odmr.example.net";
    add("not-yet-valid", make(host, names, 2 * k_day, &ca, {k_day, nullptr, false, false}));
    add("other-usage", make(host, names, k_day, &ca, {-k_day, "clientAuth", false, false}));
    add("wide-wildcard", make(host, "DNS:*.net,DNS:*", k_day, &ca));
    add("two-wildcards", make(host, "DNS:*.*.net,DNS:o*r.ex*.net", k_day, &ca));
    add("name-with-nul", make("x", "", k_day, &ca, {-k_day, nullptr, false, true}));
    add("common-name-and-another", make(host, "DNS:mail.example.org", k_day, &ca));
    add("self-signed", make(host, names, k_day, nullptr));
    const Identity between = make("Test CA 2", "", k_day, &ca, {-k_day, nullptr, true, false});
    add("intermediate-missing", make(host, names, k_day, &between));
  }

  void add(const std::string& name, const Identity& identity) {
    const std::string file = folder.put(name, identity);
    servers[name] = or_throw(net::TlsContext::server(net::TlsServerOptions{file, file, {}}));
  }
};

const Contexts& contexts() {
  static const Contexts made;
  return made;
}

}  // namespace

std::shared_ptr<net::TlsContext> server_context(const std::string& name) {
  return contexts().servers.at(name);
}

std::shared_ptr<net::TlsContext> client_context() {
  return contexts().client;
}

std::shared_ptr<net::TlsContext> client_context(net::TlsClientOptions options) {
  options.ca_file = contexts().ca_file;
  return or_throw(net::TlsContext::client(options));
}

std::shared_ptr<net::TlsContext> pinning_context() {
  static const auto made = or_throw(net::TlsContext::client(net::TlsClientOptions{{}, {std::string(32, 'x')}, {}, {}}));
  return made;
}

}  // namespace odmr::conversation
