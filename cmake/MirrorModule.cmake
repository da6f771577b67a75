# mirror_module(NAME [DEPS modules...] [LIBS external targets...])
#
# Makes the library mirror_NAME from every .cc beside the caller's CMakeLists.txt, and, from every
# *_test.cc there, one GoogleTest program NAME_test. DEPS are the modules that this one may include
# (the arrows of ARCHITECTURE.md); LIBS are third-party targets.
add_library(mirror_options INTERFACE)
target_include_directories(mirror_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(mirror_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
  -Wno-sign-conversion -Wno-missing-field-initializers -Wnon-virtual-dtor -Woverloaded-virtual -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports false positives inside libstdc++ at -O2 (bugs 105562, 105651, 107138).
  target_compile_options(mirror_options INTERFACE -Wno-restrict -Wno-maybe-uninitialized
    -Wno-stringop-overflow -Wno-array-bounds -Wno-dangling-reference -Wno-free-nonheap-object)
endif()
if(MIRROR_SANITIZE)
  target_compile_options(mirror_options INTERFACE -fsanitize=${MIRROR_SANITIZE}
    -fno-omit-frame-pointer -fno-sanitize-recover=undefined -O1 -g1)
  string(REPLACE ",fuzzer-no-link" "" MIRROR_SANITIZE_LINK "${MIRROR_SANITIZE}")
  target_link_options(mirror_options INTERFACE -fsanitize=${MIRROR_SANITIZE_LINK})
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

function(mirror_module name)
  cmake_parse_arguments(ARG "" "" "DEPS;LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(TRANSFORM ARG_DEPS PREPEND mirror_)
  if(sources)
    add_library(mirror_${name} STATIC ${sources})
    target_link_libraries(mirror_${name} PUBLIC mirror_options ${ARG_DEPS} ${ARG_LIBS})
  else()
    add_library(mirror_${name} INTERFACE)
    target_link_libraries(mirror_${name} INTERFACE mirror_options ${ARG_DEPS} ${ARG_LIBS})
  endif()
  if(tests AND MIRROR_TESTS)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE mirror_${name} GTest::gmock GTest::gtest_main)
    # Relative to the repository, where the tests run: a path of this machine in the command line
    # would keep the compiler cache from knowing the same source in another clone.
    target_compile_definitions(${name}_test PRIVATE
      MIRROR_TEST_DATA="src/${name}/testdata" MIRROR_FUZZ_CORPUS="fuzz/corpus")
    # One ctest entry per program keeps ctest's list short; GoogleTest names the failing case.
    add_test(NAME unit.${name} COMMAND ${name}_test WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(unit.${name} PROPERTIES TIMEOUT 300 LABELS unit)
  endif()
endfunction()
