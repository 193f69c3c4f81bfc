# odmr itself: submission, and the way to odmr-main for all else (front.cpp). A program that loads OpenSSL and SQLite
# takes twice as long to start, and starting is most of what handing in a message costs. So these files are compiled
# once more, with header-only fmt and toml++, and linked with the C library alone. (Linked wholly static it is not
# faster, as long as it is position-independent, and finds users only in /etc/passwd.)
set(front_sources
  app/local_message.cpp app/owner.cpp app/places.cpp app/run_as.cpp app/sendmail.cpp app/sendmail_options.cpp
  app/submission_settings.cpp
  base/ascii.cpp base/error.cpp base/file.cpp base/outcome.cpp base/own_program.cpp base/random.cpp base/secret.cpp
  cli/process.cpp
  confine/user.cpp
  config/document.cpp config/file.cpp config/table.cpp config/toml.cpp config/units.cpp
  mail/addresses.cpp mail/fields.cpp mail/header.cpp mail/line_ends.cpp mail/received.cpp mail/submission.cpp
  queue/intake.cpp queue/needs.cpp
  show/print.cpp
  smtp/capabilities.cpp smtp/command.cpp smtp/dot.cpp smtp/path.cpp smtp/reply.cpp
  spool/message_file.cpp spool/store.cpp
  submit/hand_in.cpp)
list(TRANSFORM front_sources PREPEND ${CMAKE_SOURCE_DIR}/src/)

add_library(odmr_front OBJECT ${front_sources})
foreach(room app base cli config confine mail queue show smtp spool submit)
  target_include_directories(odmr_front PUBLIC ${CMAKE_BINARY_DIR}/rooms/${room})
endforeach()
# Without std::locale, which fmt and toml++ ask for where a number has thousands to separate or a fraction: a third of the
# program, and facets to build at each start.
target_compile_definitions(odmr_front PUBLIC ODMR_VERSION="${PROJECT_VERSION}" TOML_HEADER_ONLY=1
  TOML_ENABLE_FORMATTERS=0 TOML_FLOAT_CHARCONV=1 FMT_STATIC_THOUSANDS_SEPARATOR=0)
target_link_libraries(odmr_front PUBLIC odmr_compiler fmt::fmt-header-only)
target_link_options(odmr_front INTERFACE -Wl,--as-needed)

find_library(ODMR_STATIC_ZLIB libz.a)
if(ODMR_STATIC_ZLIB AND NOT ODMR_SANITIZE)
  target_link_libraries(odmr_front PUBLIC ${ODMR_STATIC_ZLIB})
else()
  find_package(ZLIB REQUIRED)
  target_link_libraries(odmr_front PUBLIC ZLIB::ZLIB)
endif()
if(NOT ODMR_SANITIZE)
  target_compile_options(odmr_front PUBLIC -ffunction-sections -fdata-sections)
  target_link_options(odmr_front INTERFACE -static-libstdc++ -static-libgcc -Wl,--gc-sections)
endif()

# Where it was built it finds odmr-main also when it is copied elsewhere; the one that is installed knows nothing of the
# build tree, whoever may write there later.
add_executable(odmr ${CMAKE_SOURCE_DIR}/src/cli/front.cpp)
target_compile_definitions(odmr PRIVATE ODMR_MAIN_IN_BUILD_TREE="$<TARGET_FILE:odmr-main>")
target_link_libraries(odmr PRIVATE odmr_front)

add_executable(odmr-installed ${CMAKE_SOURCE_DIR}/src/cli/front.cpp)
target_link_libraries(odmr-installed PRIVATE odmr_front)
set_target_properties(odmr-installed PROPERTIES OUTPUT_NAME odmr
  RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/installed)
