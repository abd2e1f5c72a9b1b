# Writes a report, opens it in headless Chromium and has inspect.js look at it: in light and dark, in
# a wide and a narrow window; and, where asked, spoilt, when it must find what is wrong.
#   cmake -D PROGRAM=<compare_schedules> -D MODEL=... -D LENGTH=... -D OPTIONS=<more, a list>
#         -D CHROMIUM=... -D MISSING=<what is not installed> -D WORK_DIR=<folder>
#         -D SPOIL=<whether to break things too> -P page.cmake
cmake_minimum_required(VERSION 3.25)
if(MISSING)
  message("skip: ${MISSING} was not found")
  return()
endif()

file(REMOVE_RECURSE "${WORK_DIR}")
file(MAKE_DIRECTORY "${WORK_DIR}")
set(page "${WORK_DIR}/report.html")
execute_process(COMMAND "${PROGRAM}" --model "${MODEL}" --target-length "${LENGTH}" ${OPTIONS}
                        --json --report "${page}"
                OUTPUT_VARIABLE json COMMAND_ERROR_IS_FATAL ANY)
file(READ "${page}" html)

# One file that asks for nothing: the only address in it is the name of SVG.
string(REPLACE "http://www.w3.org/2000/svg" "" rest "${html}")
foreach(outside "http:" "https:" "//www" "<script" "<link" "<img" "<iframe" "@import" "url(" " src=")
  string(FIND "${rest}" "${outside}" at)
  if(NOT at EQUAL -1)
    message(FATAL_ERROR "${page} is not self-contained: it holds ${outside}")
  endif()
endforeach()

# What has to be drawn: a line per schedule that applies, four ways of forming angles, four laws
# less those that have no value, seven groups of published bases.
set(schedules 0)
string(JSON entries LENGTH "${json}" schedules)
math(EXPR last "${entries} - 1")
foreach(entry RANGE ${last})
  string(JSON reason ERROR_VARIABLE none GET "${json}" schedules ${entry} reason)
  if(none)
    math(EXPR schedules "${schedules} + 1")
  endif()
endforeach()
set(expected "{\"wavelengths\":${schedules},\"frequency-ratios\":${schedules},\
\"cosine-sums\":${schedules},\"angle-coverage\":${schedules},\"precision-budget\":4,\
\"theta-laws\":11}")
file(READ "${CMAKE_CURRENT_LIST_DIR}/inspect.js" script)

# look(<variable> <spoil: JavaScript run first> <chromium option>...): the verdict
function(look result spoil)
  set(looked_at "${WORK_DIR}/looked_at.html")
  string(REPLACE "</body>"
         "<script>window.ropewalkExpected=${expected};${spoil}\n${script}</script></body>"
         inspected "${html}")
  file(WRITE "${looked_at}" "${inspected}")
  execute_process(COMMAND "${CHROMIUM}" --headless --no-sandbox --disable-gpu --no-first-run
                          --disable-dev-shm-usage "--user-data-dir=${WORK_DIR}/profile" ${ARGN}
                          --dump-dom "file://${looked_at}"
                  OUTPUT_VARIABLE dom ERROR_VARIABLE errors RESULT_VARIABLE failed TIMEOUT 120)
  if(failed OR NOT dom MATCHES "<pre id=\"verdict\">([^<]*)</pre>")
    message(FATAL_ERROR "Chromium did not finish (${failed}):\n${errors}\n${dom}")
  endif()
  set(${result} "${CMAKE_MATCH_1}" PARENT_SCOPE)
endfunction()

set(wide --window-size=1280,900)
set(narrow --window-size=500,900)
set(dark --force-dark-mode --blink-settings=preferredColorScheme=0)
set(grounds "")
foreach(window IN ITEMS "${wide}" "${narrow}" "${wide};${dark}" "${narrow};${dark}")
  look(verdict "" ${window})
  if(NOT verdict MATCHES "^sound: .*ground ([^:]*):")
    message(FATAL_ERROR "${page} with ${window}:\n${verdict}")
  endif()
  list(APPEND grounds "${CMAKE_MATCH_1}")
  message(STATUS "${verdict}")
endforeach()
list(REMOVE_DUPLICATES grounds)
list(LENGTH grounds colours)
if(NOT colours EQUAL 2)
  message(FATAL_ERROR "light and dark have the same ground: ${grounds}")
endif()

if(NOT SPOIL)
  return()
endif()

# must_find(<words> <spoil>): the same look with one thing broken
function(must_find words spoil)
  look(verdict "${spoil}" ${wide})
  if(NOT verdict MATCHES "${words}")
    message(FATAL_ERROR "the look did not find '${words}' after: ${spoil}\n${verdict}")
  endif()
endfunction()

must_find("text overlap" "const t=document.querySelector('svg text');const c=t.cloneNode(true);\
c.setAttribute('x',Number(t.getAttribute('x'))+9);t.after(c);")
must_find("wavelengths: series .* is not drawn" "document.querySelectorAll('[data-figure=\
wavelengths] [data-series] path').forEach(p=>p.setAttribute('d',''));")
must_find("series, expected" "document.querySelector('[data-series]').remove();")
must_find("theta-laws: missing" "document.querySelector('[data-figure=theta-laws]').remove();")
must_find("leaves the figure" "document.querySelector('svg text').setAttribute('x','870');")
must_find("too little contrast" "document.querySelector('svg text').style.fill='#999999';")
must_find("lines in" "document.querySelectorAll('.line').forEach(p=>{p.style.stroke='red';\
p.style.strokeDasharray='none'});")
must_find("the page is" "document.body.style.minWidth='3000px';")
