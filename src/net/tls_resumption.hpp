#pragma once

#include <openssl/ssl.h>

#include <string>

#include "net/tls_context.hpp"

namespace odmr::net {

/// A digest of what decides whether a server is trusted, and of who we are to it: a ticket is good for no other. That a
/// file, or the trust store, has been changed counts too.
std::string digest_of_demands(const TlsClientOptions& options);

/// Has the context keep the tickets that come.
void keep_tickets(TlsContext::Impl& context);

/// Takes the ticket that is kept, and has `ssl` offer it to the server called `name`, if it may be used.
void offer_ticket(SSL* ssl, TlsContext::Impl& context, const std::string& name);

}  // namespace odmr::net
