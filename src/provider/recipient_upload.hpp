#pragma once

#include <cstddef>
#include <string>

#include "server/channel.hpp"

namespace odmr::provider {

/// Reads the lines behind the 354 to XRECIPIENTS, to their end, which is a dot alone: 64 hexadecimal digits each, in
/// ascending order, `count` of them (at most RecipientList::k_most), all before `deadline`. Gives the octets, one
/// behind the other; or the reply to what is no such list, which has been read to its end all the same. Errors: those
/// of the stream, and too_long for lines without an end: nothing more can be said then.
net::Task<Result<tl::expected<std::string, smtp::Reply>>> read_upload(server::Channel& channel, std::size_t count,
                                                                      TimePoint deadline);

}  // namespace odmr::provider
