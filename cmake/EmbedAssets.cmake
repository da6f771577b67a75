# mirror_embed_web(TARGET): builds web/ and puts the page into TARGET (src/api/assets.h).
#
# `npm ci` runs when the lock file changed, esbuild when a source of the page did. The page is built
# into the build directory: several of them (dev, asan, release) do not disturb each other.
find_program(NODE_PROGRAM NAMES node nodejs)
find_program(NPM_PROGRAM npm)
if(NOT NODE_PROGRAM OR NOT NPM_PROGRAM)
  message(FATAL_ERROR "The viewer page needs Node.js 18 or newer and npm: "
    "apt-get install nodejs npm (or run scripts/install-deps)")
endif()
execute_process(COMMAND ${NODE_PROGRAM} --version OUTPUT_VARIABLE NODE_VERSION
  OUTPUT_STRIP_TRAILING_WHITESPACE)
string(REGEX REPLACE "^v" "" NODE_VERSION "${NODE_VERSION}")
if(NODE_VERSION VERSION_LESS 18)
  message(FATAL_ERROR "The viewer page needs Node.js 18 or newer; ${NODE_PROGRAM} is ${NODE_VERSION}")
endif()

# mirror_npm_ci(DIRECTORY STAMP_VARIABLE): a rule that installs DIRECTORY's locked packages.
function(mirror_npm_ci directory stamp_variable)
  set(stamp ${directory}/node_modules/.mirror-installed)
  add_custom_command(
    OUTPUT ${stamp}
    COMMAND ${NPM_PROGRAM} ci --loglevel=error
    COMMAND ${CMAKE_COMMAND} -E touch ${stamp}
    DEPENDS ${directory}/package.json ${directory}/package-lock.json ${directory}/.npmrc
    WORKING_DIRECTORY ${directory}
    COMMENT "npm ci in ${directory}"
    VERBATIM)
  set(${stamp_variable} ${stamp} PARENT_SCOPE)
endfunction()

function(mirror_embed_web target)
  set(web ${CMAKE_SOURCE_DIR}/web)
  set(out ${CMAKE_BINARY_DIR}/web)
  file(GLOB sources CONFIGURE_DEPENDS ${web}/src/*)
  mirror_npm_ci(${web} installed)
  file(MAKE_DIRECTORY ${out})
  add_custom_command(
    OUTPUT ${out}/assets.cc
    COMMAND ${NODE_PROGRAM} ${web}/build.mjs --outdir ${out}/dist
    COMMAND ${NODE_PROGRAM} ${web}/embed.mjs ${out}/dist ${out}/assets.cc
    DEPENDS ${installed} ${web}/build.mjs ${web}/embed.mjs ${sources}
    COMMENT "Building the viewer page"
    VERBATIM)
  # A library of its own, so that the page is built beside the modules, not after them.
  add_library(${target}_assets STATIC ${out}/assets.cc)
  target_link_libraries(${target}_assets PRIVATE mirror_options)
  target_link_libraries(${target} PUBLIC ${target}_assets)
  if(MIRROR_TESTS)
    # The page's own tests: strict types, and the latency controller in virtual time.
    add_custom_command(
      OUTPUT ${out}/checked
      COMMAND ${NODE_PROGRAM} ${web}/node_modules/typescript/bin/tsc --noEmit -p ${web}
      COMMAND ${CMAKE_COMMAND} -E touch ${out}/checked
      DEPENDS ${installed} ${web}/tsconfig.json ${sources}
      COMMENT "Checking the viewer page's types"
      VERBATIM)
    add_custom_target(web_check ALL DEPENDS ${out}/checked)
    add_test(NAME unit.web COMMAND ${NODE_PROGRAM} --test ${web}/test/latency.test.mjs
      WORKING_DIRECTORY ${web})
    set_tests_properties(unit.web PROPERTIES TIMEOUT 60 LABELS unit)
  endif()
endfunction()
