#pragma once

#include <asio/awaitable.hpp>
#include <asio/this_coro.hpp>

namespace odmr::net {

/// A step of a conversation: a coroutine that runs on the event loop of whoever awaits it.
/// GCC 12 destroys some temporaries inside co_await twice: pass named objects, scalars and constructor-made values
/// only, and make coroutines free functions or members, never capturing lambdas.
template <class T = void>
using Task = asio::awaitable<T>;

}  // namespace odmr::net
