# How everything here is compiled: warnings, sanitizers, hardening.

add_library(odmr_compiler INTERFACE)
target_compile_options(odmr_compiler INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor -Woverloaded-virtual
  -Wimplicit-fallthrough -Wformat=2)

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports members of a coroutine frame as maybe used before they are set, and misreads std::string's
  # inlined copies; neither finding has been true here.
  target_compile_options(odmr_compiler INTERFACE -Wno-maybe-uninitialized -Wno-restrict -Wno-mismatched-new-delete)
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # Asio 1.22 does not recognise coroutines under clang with libstdc++.
  target_compile_definitions(odmr_compiler INTERFACE ASIO_HAS_CO_AWAIT=1 ASIO_HAS_STD_COROUTINE=1)
  target_compile_options(odmr_compiler INTERFACE -Wno-unused-command-line-argument)
endif()

if(ODMR_WERROR)
  target_compile_options(odmr_compiler INTERFACE -Werror)
endif()

if(ODMR_SANITIZE)
  target_compile_options(odmr_compiler INTERFACE
    -fsanitize=${ODMR_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(odmr_compiler INTERFACE -fsanitize=${ODMR_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # What asks at each use of a pointer takes a third of the time that all of it takes to compile. A null pointer ends
    # the tests under AddressSanitizer, too; and the fuzz targets (clang) have these checks.
    target_compile_options(odmr_compiler INTERFACE -fno-sanitize=null,alignment,object-size,vptr)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # It puts data before each function, which clang 14 cannot assemble for the parts of a coroutine.
    target_compile_options(odmr_compiler INTERFACE -fno-sanitize=function)
  endif()
endif()

# ThreadSanitizer does not know fences. Asio's stand beside mutexes, which it does know.
if(ODMR_SANITIZE STREQUAL "thread")
  target_compile_definitions(odmr_compiler INTERFACE ASIO_DISABLE_FENCED_BLOCK)
endif()

if(ODMR_FUZZ)
  target_compile_options(odmr_compiler INTERFACE -fsanitize=fuzzer-no-link)
endif()

if(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  if(NOT ODMR_SANITIZE)
    target_compile_options(odmr_compiler INTERFACE
      -fstack-protector-strong -fstack-clash-protection -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -D_GLIBCXX_ASSERTIONS)
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64")
      target_compile_options(odmr_compiler INTERFACE -fcf-protection)
    endif()
    target_link_options(odmr_compiler INTERFACE -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
  endif()
endif()

set(CMAKE_POSITION_INDEPENDENT_CODE ON)
include(CheckPIESupported)
check_pie_supported()
