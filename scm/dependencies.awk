# dependencies.awk -- which object waits for which, from the imports of the modules themselves.
#
#   awk -f dependencies.awk MODULE.scm... >modules.mk
#
# An object is made after those of the modules that it imports, so that the compiler loads
# compiled code; and made again when one of them that has macros has changed.  Records count as
# macros: their accessors are inlined where they are used.

function object(path)
{
  sub(/^.*scm\/tempera/, "scm/tempera", path)
  sub(/\.scm$/, ".go", path)
  return path
}

FNR == 1 { me = object(FILENAME); objects[me] = 1 }

/^\(define-(syntax|syntax-rule|record-type|immutable-record-type|macro)/ { macros[me] = 1 }

# (tempera ROOM MODULE), in an import or in an autoload.
/^ *#:(use-module|autoload) / && match($0, /\(tempera [^()]*\)/) {
  name = substr($0, RSTART + 1, RLENGTH - 2)
  gsub(/ /, "/", name)
  imports[me] = imports[me] " scm/" name ".go"
}

END {
  for (me in objects) {
    count = split(imports[me], theirs, " ")
    for (i = 1; i <= count; i++)
      if (theirs[i] in objects)
        print me ":" (theirs[i] in macros ? " " : " | ") theirs[i]
  }
}
