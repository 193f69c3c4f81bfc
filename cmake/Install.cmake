# `cmake --install`: the GNU directories, below the prefix of that moment. Units, and what else names a path, are made
# then (cmake/Fill.cmake).
include(GNUInstallDirs)

# odmr looks for the other two in ../libexec/odmr.
install(TARGETS odmr-installed odmrd RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS odmr-main odmr-7bit RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/odmr)

file(GLOB pages RELATIVE ${CMAKE_SOURCE_DIR} man/*.[1-9])
foreach(page ${pages})
  string(REGEX MATCH "[0-9]$" section ${page})
  install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()

install(FILES README.md CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY examples/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples PATTERN quickstart.sh EXCLUDE)
install(DIRECTORY packaging/systemd/drop-ins/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples/systemd)

# To be copied: each program that brings a line up looks for its hooks in /etc.
if(EXISTS ${CMAKE_SOURCE_DIR}/packaging/hooks)
  install(DIRECTORY packaging/hooks DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples USE_SOURCE_PERMISSIONS)
endif()

# Where systemd looks below /usr and below /usr/local.
set(systemd_units lib/systemd/system)
file(GLOB units RELATIVE ${CMAKE_SOURCE_DIR} packaging/systemd/*.socket packaging/systemd/*.timer)
install(FILES ${units} DESTINATION ${systemd_units})
file(GLOB templates RELATIVE ${CMAKE_SOURCE_DIR} packaging/systemd/*.in)
foreach(template ${templates})
  get_filename_component(unit ${template} NAME)
  string(REGEX REPLACE "\\.in$" "" unit ${unit})
  install(CODE "
    set(template \"${CMAKE_SOURCE_DIR}/${template}\")
    set(filled \"${systemd_units}/${unit}\")
    set(bindir \"${CMAKE_INSTALL_BINDIR}\")
    set(sandbox \"${CMAKE_SOURCE_DIR}/packaging/systemd/sandbox.conf\")
    include(\"${CMAKE_SOURCE_DIR}/cmake/Fill.cmake\")")
endforeach()
foreach(kind sysusers.d tmpfiles.d)
  install(DIRECTORY packaging/${kind} DESTINATION lib)
endforeach()

install(FILES ${CMAKE_BINARY_DIR}/completions/odmr.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
  RENAME odmr)
install(FILES ${CMAKE_BINARY_DIR}/completions/odmrd.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
  RENAME odmrd)
install(FILES ${CMAKE_BINARY_DIR}/completions/_odmr ${CMAKE_BINARY_DIR}/completions/_odmrd
  DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${CMAKE_BINARY_DIR}/completions/odmr.fish ${CMAKE_BINARY_DIR}/completions/odmrd.fish
  DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
