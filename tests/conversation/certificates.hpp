#pragma once

#include <memory>
#include <string>

#include "net/tls.hpp"

namespace odmr::conversation {

/// A test CA, and servers' certificates that it signed, made anew by each run of the tests. Names: "good", "wildcard",
/// which are; "wrong-name" (by our CA, for another host), "expired", "stranger" (by nobody we trust), and the others of
/// Contexts::add_bad_ones().
std::shared_ptr<net::TlsContext> server_context(const std::string& name);

/// A client that trusts the test CA alone.
std::shared_ptr<net::TlsContext> client_context();

/// The same, with whatever else `options` say.
std::shared_ptr<net::TlsContext> client_context(net::TlsClientOptions options);

/// A client that knows its server by a pin, which is no key of ours.
std::shared_ptr<net::TlsContext> pinning_context();

}  // namespace odmr::conversation
