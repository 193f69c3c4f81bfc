# odmr_room(NAME SOURCES file… [IMPORTS room…] [LIBRARIES target…] [PRIVATE_LIBRARIES target…])
#
# One library per room of src/. A room is included as "room/header.hpp" through a link that only those see who import
# the room, so an include that src/README.md does not allow fails to compile.
# Coverage for the fuzzer goes into the pure rooms only: clang 14 cannot assemble it in coroutines ("Cannot represent a
# difference across sections").
set(ODMR_PURE_ROOMS base smtp mail sasl spool config)

function(odmr_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;IMPORTS;LIBRARIES;PRIVATE_LIBRARIES" ${ARGN})
  set(doors ${CMAKE_BINARY_DIR}/rooms/${name})
  file(MAKE_DIRECTORY ${doors})
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/src/${name} ${doors}/${name} SYMBOLIC)

  list(TRANSFORM ROOM_SOURCES PREPEND ${CMAKE_SOURCE_DIR}/src/${name}/)
  list(TRANSFORM ROOM_IMPORTS PREPEND odmr_)
  if(ROOM_SOURCES)
    add_library(odmr_${name} STATIC ${ROOM_SOURCES})
    target_link_libraries(odmr_${name} PRIVATE odmr_compiler ${ROOM_PRIVATE_LIBRARIES})
    if(ODMR_FUZZ AND name IN_LIST ODMR_PURE_ROOMS)
      target_compile_options(odmr_${name} PRIVATE -fsanitize=fuzzer-no-link)
    endif()
    set(scope PUBLIC)
  else()
    add_library(odmr_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(odmr_${name} ${scope} ${doors})
  target_link_libraries(odmr_${name} ${scope} ${ROOM_IMPORTS} ${ROOM_LIBRARIES})
endfunction()
