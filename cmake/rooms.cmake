# A room is a folder with one purpose and one target: every .c in it, and the rooms it may include.
#
#   muster_room(common_noise DEPS common_base PkgConfig::SODIUM)
#
# makes a static library of all *.c here except main.c. A room without a .c yet is an interface target,
# so that its users can be written first.
function(muster_room name)
        cmake_parse_arguments(ROOM "" "" "DEPS" ${ARGN})
        file(GLOB sources CONFIGURE_DEPENDS *.c)
        list(FILTER sources EXCLUDE REGEX "/main\\.c$")
        if(sources)
                add_library(${name} STATIC ${sources})
                target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
                target_link_libraries(${name} PUBLIC ${ROOM_DEPS})
        else()
                add_library(${name} INTERFACE)
                target_include_directories(${name} INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
                target_link_libraries(${name} INTERFACE ${ROOM_DEPS})
        endif()
endfunction()
