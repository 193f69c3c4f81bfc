# odmr_room(NAME SOURCES file… [IMPORTS room…] [LIBRARIES target…] [PRIVATE_LIBRARIES target…] [ALONE file…])
#
# With ODMR_UNITY several files of a room are compiled as one, but for those that stand ALONE: they have a name of their
# own for themselves that another file has, too.
#
# One library per room of src/. A room is included as "room/header.hpp" through a link that only those see who import
# the room, so an include that src/README.md does not allow fails to compile.
function(odmr_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;IMPORTS;LIBRARIES;PRIVATE_LIBRARIES;ALONE" ${ARGN})
  set(doors ${CMAKE_BINARY_DIR}/rooms/${name})
  file(MAKE_DIRECTORY ${doors})
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/src/${name} ${doors}/${name} SYMBOLIC)

  list(TRANSFORM ROOM_SOURCES PREPEND ${CMAKE_SOURCE_DIR}/src/${name}/)
  list(TRANSFORM ROOM_IMPORTS PREPEND odmr_)
  if(ROOM_SOURCES)
    add_library(odmr_${name} STATIC ${ROOM_SOURCES})
    target_link_libraries(odmr_${name} PRIVATE odmr_compiler ${ROOM_PRIVATE_LIBRARIES})
    if(ODMR_UNITY)
      set_target_properties(odmr_${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 6)
      foreach(file ${ROOM_ALONE})
        set_source_files_properties(${CMAKE_SOURCE_DIR}/src/${name}/${file} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
      endforeach()
      # What stands in an anonymous namespace is not in the main file then.
      target_compile_options(odmr_${name} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
    endif()
    set(scope PUBLIC)
  else()
    add_library(odmr_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(odmr_${name} ${scope} ${doors})
  target_link_libraries(odmr_${name} ${scope} ${ROOM_IMPORTS} ${ROOM_LIBRARIES})
endfunction()
