# odmr_room(NAME SOURCES file… [IMPORTS room…] [LIBRARIES target…] [PRIVATE_LIBRARIES target…])
#
# One library per room of src/. A room is included as "room/header.hpp" through a link that only those see who import
# the room, so an include that src/README.md does not allow fails to compile.
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
    set(scope PUBLIC)
  else()
    add_library(odmr_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(odmr_${name} ${scope} ${doors})
  target_link_libraries(odmr_${name} ${scope} ${ROOM_IMPORTS} ${ROOM_LIBRARIES})
endfunction()
