/* words.c -- stems of English words in Scheme, by libstemmer, for the search of `help'. */
#include <stdlib.h>
#include <string.h>

#include <libstemmer.h>

#include "guile/binding.h"

static SCM
word_stem (SCM word)
{
  const char *me = "word-stem";
  static struct sb_stemmer *english;
  if (!english && !(english = sb_stemmer_new ("english", "UTF_8")))
    tp_raise_argument (me, "libstemmer has no stemmer of English");
  char *text = tp_to_string (me, "word", word);
  const sb_symbol *stem = sb_stemmer_stem (english, (const sb_symbol *) text, (int) strlen (text));
  free (text);
  if (!stem)
    tp_raise_argument (me, "out of memory");
  return scm_from_utf8_stringn ((const char *) stem, (size_t) sb_stemmer_length (english));
}

void
tp_init_words (void)
{
  tp_define ("word-stem", 1, 0, word_stem, "word",
             "The stem of WORD, English in small letters, which words of one family share (the second\n"
             "algorithm of Porter, as libstemmer has it).\n"
             "Example: (map word-stem '(\"calibrated\" \"calibration\")) => (calibr calibr)");
}
