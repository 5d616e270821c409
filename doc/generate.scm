;;; generate.scm -- what of the documentation is made from the program itself.
;;;
;;;   guile doc/generate.scm WHAT >FILE
;;;
;;; WHAT is reference (Texinfo, from the docstrings), commands (Texinfo, from the options of
;;; the commands), man, bash, zsh or fish (completion of the command line).

(use-modules (srfi srfi-1) (srfi srfi-11)
             (ice-9 format) (ice-9 regex)
             (tempera) (tempera shell cli) (tempera shell options) (tempera shell problems) (tempera base documentation) (tempera base program) (tempera base parameters))

(define (commands) (command-names))

(define (parameters-of command)
  (let-values (((operands text parameters options) (command-usage command))) parameters))

(define (problems command)
  ;; The names of those that COMMAND solves besides the one whose parameters are its own.
  (if (string=? command "reconstruct") (cdr (problem-names)) '()))

(define (problem-summary name)
  ;; The first sentence of what it says of itself.
  (let ((text (experiment-documentation (named-problem name))))
    (substring text 0 (string-contains text "  "))))

(define (all-parameters command)
  ;; Those of its problems too.
  (delete-duplicates (append (parameters-of command)
                             (append-map (lambda (name) (experiment-parameters (named-problem name))) (problems command)))
                     (lambda (a b) (eq? (parameter-name a) (parameter-name b)))))

(define (all-options command)
  (let-values (((operands text parameters options) (command-usage command)))
    (append (all-parameters command) options)))

(define (flag? option)
  (eq? 'flag (parameter-type option)))

(define (option-name option)
  (format #f "--~a" (parameter-name option)))

(define (synopsis command operands parameters options)
  (string-append "tempera " command
                 (if (null? options) "" " [--OPTION...]")
                 (if (string-null? operands) "" (string-append " " operands))
                 (if (null? parameters) "" " [NAME=VALUE...]")))

(define (explained parameters options)
  ;; Pairs of how each is written and what it is for.
  (append (map (lambda (p) (cons (parameter-text p) (explanation p))) parameters)
          (map (lambda (o) (cons (option-text o) (explanation o))) options)))

(define (replace-all text . pairs)
  ;; With each character of PAIRS, (character . string) ..., as its string.
  (string-concatenate
   (map (lambda (c) (cond ((assv c pairs) => cdr) (else (string c)))) (string->list text))))

(define (capitalised text)
  (if (string-null? text)
      text
      (string-append (string-upcase (substring text 0 1)) (substring text 1))))

;;; --- Texinfo --------------------------------------------------------------------

(define (texinfo text)
  (replace-all text '(#\@ . "@@") '(#\{ . "@{") '(#\} . "@}")))

(define (prose text)
  ;; Where -- would become a dash.
  (regexp-substitute/global #f "--" (texinfo text) 'pre "-@asis{}-" 'post))

(define (show-definition name)
  (let-values (((text example result) (documentation-parts (name-documentation name))))
    (format #t "@deffn ~a ~a~%" (string-titlecase (symbol->string (name-kind name)))
            (texinfo (string-join (cons (symbol->string name) (argument-texts name)) " ")))
    (format #t "@verbatim~%~a~%@end verbatim~%" text)
    (when example
      (format #t "@example~%~a~a~%@end example~%" (texinfo example)
              (if result (format #f "~%@result{} ~a" (texinfo result)) "")))
    (format #t "@end deffn~%~%")))

(define (module-summary module)
  ;; The first line of its file says what it is for.
  (let ((line (call-with-input-file
                  (%search-load-path (string-append (string-join (map symbol->string module) "/")
                                                    ".scm"))
                (@ (ice-9 rdelim) read-line))))
    (let ((at (string-contains line " -- ")))
      (if at (substring line (+ at 4)) ""))))

(define (show-reference)
  (format #t "@c Made by generate.scm from the docstrings.~%")
  (let* ((names (documented-names))
         (modules (sort (delete-duplicates (map name-module names))
                        (lambda (a b) (string<? (object->string a) (object->string b))))))
    (for-each
     (lambda (module)
       (format #t "~%@node Module ~a~%@section @code{~a}~%~%" (last module) module)
       (format #t "~a~%~%" (texinfo (capitalised (module-summary module))))
       (for-each (lambda (name) (when (equal? module (name-module name)) (show-definition name)))
                 names))
     modules)))

(define (show-commands)
  (format #t "@c Made by generate.scm from the commands' options.~%")
  (for-each
   (lambda (command)
     (let-values (((operands text parameters options) (command-usage command)))
       (format #t "~%@node tempera ~a~%@section @command{tempera ~a}~%~%" command command)
       (format #t "@example~%~a~%@end example~%~%"
               (texinfo (synopsis command operands parameters options)))
       (format #t "~a.  ~a~%~%@table @option~%"
               (prose (capitalised (command-summary command))) (prose text))
       (for-each (lambda (entry)
                   (format #t "@item ~a~%~a~%" (texinfo (car entry)) (prose (cdr entry))))
                 (explained parameters options))
       (format #t "@end table~%")
       (for-each
        (lambda (name)
          (format #t "~%@subheading @samp{problem=~a}~%~%~a~%" name (prose (problem-summary name)))
          (unless (null? (problem-parameters name))
            (format #t "~%@table @option~%")
            (for-each (lambda (entry) (format #t "@item ~a~%~a~%" (texinfo (car entry)) (prose (cdr entry))))
                      (explained (problem-parameters name) '()))
            (format #t "@end table~%")))
        (problems command))))
   (commands)))

;;; --- The man page ---------------------------------------------------------------

(define (roff text)
  (let ((text (replace-all text '(#\\ . "\\e") '(#\- . "\\-"))))
    (if (and (positive? (string-length text)) (memv (string-ref text 0) '(#\. #\')))
        (string-append "\\&" text)
        text)))

(define (show-man)
  (format #t ".\\\" Made by generate.scm from the commands' options.
.TH TEMPERA 1 \"\" \"Tempera ~a\" \"User Commands\"
.SH NAME
tempera \\- Bayesian imaging with learned score priors
.SH SYNOPSIS
.B tempera
[\\fB\\-\\-debug\\fR]
[\\fICOMMAND\\fR [\\fIARGUMENT\\fR...]]
.SH DESCRIPTION
Without a command, a prompt of GNU Guile with everything of Tempera at hand: type
.B (help)
there.  The manual is
.BR \"info tempera\" .
.SH OPTIONS
.TP
.B \\-\\-help
say which commands there are and end; after a command, which options it has
.TP
.B \\-\\-version
say which version this is and end
.TP
.B \\-\\-debug
on an error, show where it came from
.SH COMMANDS
" (roff tempera-version))
  (for-each
   (lambda (command)
     (let-values (((operands text parameters options) (command-usage command)))
       (format #t ".SS \"~a\"~%~a.~%" (roff (synopsis command operands parameters options))
               (roff (capitalised (command-summary command))))
       (unless (string-null? text)
         (format #t ".PP~%~a~%" (string-join (map roff (string-split text #\newline)) "\n")))
       (for-each (lambda (entry)
                   (format #t ".TP~%.B ~a~%~a~%" (roff (car entry)) (roff (cdr entry))))
                 (explained parameters options))
       (for-each
        (lambda (name)
          (format #t ".PP~%With problem=~a: ~a~%" (roff name) (roff (problem-summary name)))
          (for-each (lambda (entry)
                      (format #t ".TP~%.B ~a~%~a~%" (roff (car entry)) (roff (cdr entry))))
                    (explained (problem-parameters name) '())))
        (problems command))))
   (commands))
  (display ".SH ENVIRONMENT
.TP
.B TEMPERA_DATA
the folder that has experiments/ and priors/
.TP
.B XDG_CACHE_HOME
where prepared volumes are, in tempera/data
.TP
.B XDG_STATE_HOME
where the prompt's history is, in tempera
.TP
.B TEMPERA_THREADS, OMP_NUM_THREADS
how many threads compute, the first before the second; by default as many as there are
processors at hand.  Results do not depend on it.
.TP
.B TEMPERA_ISA
the instruction set of the networks' kernels, generic, v3, v4 or v4\\-bf16 (levels of x86\\-64),
where the processor has it; by default the best that it has
.TP
.B TEMPERA_FFT_PLAN
\\(dqmeasure\\(dq has Fourier transforms timed and the fastest kept in XDG_CACHE_HOME; by default they are
chosen by size alone, so that a processor always computes the same bits
.TP
.B TEMPERA_PICTURES
how pictures are shown in the terminal: kitty, iterm, sixel, symbols or ascii
.SH EXIT STATUS
0 when all went well, 1 after an error, 130 after Ctrl\\-C.
.SH SEE ALSO
.BR guile (1)
"))

;;; --- Completion of the command line ---------------------------------------------

(define (words list) (string-join list " "))

(define (completion-words option)
  ;; An option that takes a value ends with =.
  (string-append (option-name option) (if (flag? option) "" "=")))

(define (show-bash)
  (format #t "# bash completion for tempera; made by generate.scm from the commands' options.

_tempera ()
{
  local word=$2 command= script= i options parameters=
  COMPREPLY=()
  # Bash takes --option=value apart at the =.
  if [ \"$word\" = = ]; then word=; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      -*) ;;
      *) if [ -z \"$command\" ]; then command=${COMP_WORDS[i]}
         elif [ -z \"$script\" ]; then script=${COMP_WORDS[i]}; fi ;;
    esac
  done
  if [ \"${COMP_WORDS[COMP_CWORD]}\" = = ] || [ \"${COMP_WORDS[COMP_CWORD - 1]}\" = = ]; then
    i=$((COMP_CWORD - 1))
    if [ \"${COMP_WORDS[COMP_CWORD]}\" != = ]; then i=$((i - 1)); fi
    case ${COMP_WORDS[i]} in
      problem | --problem) COMPREPLY=($(compgen -W '~a' -- \"$word\") $(compgen -f -X '!*.scm' -- \"$word\")) ;;
      *) COMPREPLY=($(compgen -f -- \"$word\")) ;;
    esac
    return
  fi
  case $command in
    '') options='--debug --help --version ~a' ;;
" (words (problem-names)) (words (commands)))
  (for-each (lambda (command)
              (format #t "    ~a) options='~a' parameters='~a' ;;~%" command
                      (words (map completion-words (all-options command)))
                      (words (map (lambda (p) (format #f "~a=" (parameter-name p)))
                                  (all-parameters command)))))
            (commands))
  (display "    *) options= ;;
  esac
  # A script's own parameters.
  if [ \"$command\" = run ] && [ -f \"$script\" ]; then
    parameters=$(tempera run \"$script\" --help 2>/dev/null | sed -n 's/^  \\([^ =-][^ =]*=\\).*/\\1/p')
  fi
  case $word in
    -*) COMPREPLY=($(compgen -W \"$options\" -- \"$word\")) ;;
    *) if [ -n \"$command\" ]; then
         COMPREPLY=($(compgen -f -- \"$word\") $(compgen -W \"$parameters\" -- \"$word\"))
       else
         COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))
       fi ;;
  esac
  case ${COMPREPLY[0]} in *=) compopt -o nospace 2>/dev/null ;; esac
}

complete -o filenames -F _tempera tempera
"))

(define (zsh text)
  (replace-all text '(#\' . "'\\''") '(#\[ . "\\[") '(#\] . "\\]") '(#\: . "\\:")))

(define (show-zsh)
  (display "#compdef tempera
# zsh completion for tempera; made by generate.scm from the commands' options.

_tempera () {
  local -a commands
  commands=(
")
  (for-each (lambda (command)
              (format #t "    '~a:~a'~%" command (zsh (command-summary command))))
            (commands))
  (display "  )
  if (( CURRENT == 2 )); then
    _describe command commands
    _arguments '--debug' '--help' '--version'
    return
  fi
  case $words[2] in
")
  (for-each (lambda (command)
              (format #t "    ~a) _arguments~%" command)
              (for-each (lambda (option)
                          (format #t "      '~a~a[~a]~a' \\~%" (option-name option)
                                  (if (flag? option) "" "=")
                                  (zsh (parameter-documentation option))
                                  (cond ((flag? option) "")
                                        ((eq? 'problem (parameter-name option))
                                         (format #f ":problem:(~a)" (words (problem-names))))
                                        (else ":value:_files"))))
                        (all-options command))
              (format #t "      '*:file:_files' ;;~%"))
            (commands))
  (display "  esac
}

_tempera \"$@\"
"))

(define (fish text)
  (replace-all text '(#\\ . "\\\\") '(#\' . "\\'")))

(define (show-fish)
  (format #t "# fish completion for tempera; made by generate.scm from the commands' options.~%")
  (for-each
   (lambda (command)
     (format #t "complete -c tempera -n __fish_use_subcommand -f -a ~a -d '~a'~%" command
             (fish (command-summary command)))
     (for-each (lambda (option)
                 (format #t "complete -c tempera -n '__fish_seen_subcommand_from ~a' -l ~a~a -d '~a'~%"
                         command (parameter-name option)
                         (cond ((flag? option) "")
                               ((eq? 'problem (parameter-name option))
                                (format #f " -x -a '~a'" (words (problem-names))))
                               (else " -r"))
                         (fish (parameter-documentation option))))
               (all-options command)))
   (commands)))

(setlocale LC_ALL "C.UTF-8")
(let* ((makers `(("reference" . ,show-reference) ("commands" . ,show-commands) ("man" . ,show-man)
                 ("bash" . ,show-bash) ("zsh" . ,show-zsh) ("fish" . ,show-fish)))
       (what (if (pair? (cdr (command-line))) (cadr (command-line)) ""))
       (maker (assoc-ref makers what)))
  (unless maker
    (format (current-error-port) "generate.scm: expected one of ~a, got ~s~%"
            (string-join (map car makers) " ") what)
    (exit 1))
  (maker))
