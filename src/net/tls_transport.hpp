#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/tls.hpp"
#include "net/transport.hpp"

struct ssl_st;
struct bio_st;

namespace odmr::net {

/// TLS over another transport. OpenSSL works on two memory BIOs and never sees a socket, so the same layer runs over
/// the in-memory twin, and the raw bytes are at hand when a peer falls back to clear text.
class TlsTransport final : public Transport {
 public:
  enum class Role { client, server };

  /// `server_name` is what a client demands to find in the certificate, and sends as SNI when it is no address.
  TlsTransport(std::unique_ptr<Transport> below, std::shared_ptr<TlsContext> context, Role role,
               const std::string& server_name, Clock& clock);
  ~TlsTransport() override;
  TlsTransport(const TlsTransport&) = delete;
  TlsTransport& operator=(const TlsTransport&) = delete;

  /// Must succeed before anything else is asked for. Errors: tls, untrusted, and those of the transport below.
  Task<Result<void>> handshake(TimePoint deadline);
  TlsFacts facts() const;
  /// After Errc::tls from a read: the bytes, at most 64, that stood where a record should have begun.
  const std::string& undecodable() const { return undecodable_; }

  Task<Result<std::size_t>> read_some(std::span<char> into, TimePoint deadline) override;
  Task<Result<void>> write(std::string_view bytes, Duration patience) override;
  Task<void> finish(TimePoint deadline) override;
  void interrupt() override { below_->interrupt(); }
  void close() override { below_->close(); }
  std::string peer() const override { return below_->peer(); }

 private:
  static void note_header(int write_p, int version, int content_type, const void* bytes, std::size_t size, ssl_st* ssl,
                          void* self);
  std::size_t decrypt(std::span<char> into);
  bool has_whole_record() const;
  Task<Result<void>> feed(TimePoint deadline);
  Task<Result<void>> flush(Duration patience);
  Task<> read_undecodable();
  Error failure(const std::string& doing);
  Error not_accepted(long verdict) const;

  std::unique_ptr<Transport> below_;
  std::shared_ptr<TlsContext> context_;
  Clock& clock_;
  std::string server_name_;
  ssl_st* ssl_ = nullptr;
  bio_st* in_ = nullptr;   // owned by ssl_
  bio_st* out_ = nullptr;  // owned by ssl_
  std::vector<char> raw_;  // what in_ reads
  std::size_t fed_ = 0;    // of it, when it was read last
  bool is_raw_too_small_ = false;
  std::string sending_;  // what was in out_
  bool is_flushing_ = false;
  std::optional<Error> broken_;
  std::optional<Certificate> shown_;  // by the server
  std::string last_header_;
  std::string undecodable_;
};

}  // namespace odmr::net
