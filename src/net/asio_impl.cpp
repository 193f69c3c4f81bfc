// The one place where Asio's own code is compiled.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include <asio/impl/src.hpp>
#pragma GCC diagnostic pop
