/* terminal.c -- libchafa draws; the kernel and the terminal answer. */
#include "io/terminal.h"

#include <chafa.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* --- What it can do ------------------------------------------------------ */

tp_terminal
tp_terminal_detect (char *const *environment)
{
  ChafaTermInfo *info
    = chafa_term_db_detect (chafa_term_db_get_default (), (gchar **) environment);
  tp_terminal terminal = { TP_SYMBOLS, 2 };
  if (chafa_term_info_have_seq (info, CHAFA_TERM_SEQ_BEGIN_KITTY_IMMEDIATE_IMAGE_V1))
    terminal.kind = TP_KITTY;
  else if (chafa_term_info_have_seq (info, CHAFA_TERM_SEQ_BEGIN_ITERM2_IMAGE))
    terminal.kind = TP_ITERM;
  else if (chafa_term_info_have_seq (info, CHAFA_TERM_SEQ_BEGIN_SIXELS))
    terminal.kind = TP_SIXEL;
  if (chafa_term_info_have_seq (info, CHAFA_TERM_SEQ_SET_COLOR_FGBG_DIRECT))
    terminal.colours = 1 << 24;
  else if (chafa_term_info_have_seq (info, CHAFA_TERM_SEQ_SET_COLOR_FGBG_256))
    terminal.colours = 256;
  else if (chafa_term_info_have_seq (info, CHAFA_TERM_SEQ_SET_COLOR_FGBG_16))
    terminal.colours = 16;
  chafa_term_info_unref (info);
  return terminal;
}

tp_status
tp_terminal_measure (int descriptor, tp_terminal_size *size)
{
  struct winsize s;
  if (ioctl (descriptor, TIOCGWINSZ, &s))
    return tp_fail (TP_IO, "the terminal: %s", strerror (errno));
  *size = (tp_terminal_size) { s.ws_row, s.ws_col, s.ws_ypixel, s.ws_xpixel };
  return TP_OK;
}

/* --- Asking -------------------------------------------------------------- */

static int64_t
milliseconds_now (void)
{
  struct timespec t;
  clock_gettime (CLOCK_MONOTONIC, &t);
  return (int64_t) t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool
keys_wait (int descriptor)
{
  int count = 0;
  return !ioctl (descriptor, FIONREAD, &count) && count > 0;
}

static void
read_answer (int descriptor, char last, int64_t until, char *answer, size_t room)
{
  size_t length = 0;
  for (int64_t left; length + 1 < room && (left = until - milliseconds_now ()) > 0; )
    {
      struct pollfd wait = { .fd = descriptor, .events = POLLIN };
      if (poll (&wait, 1, (int) left) < 0 && errno != EINTR)
        break;
      if (!(wait.revents & POLLIN))
        continue;
      if (read (descriptor, answer + length, 1) != 1)
        break;
      if (answer[length++] == last)
        break;
    }
  answer[length] = 0;
}

tp_status
tp_terminal_ask (const char *question, char last, int milliseconds, char *answer, size_t room)
{
  answer[0] = 0;
  int descriptor = open ("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (descriptor < 0)
    return tp_fail (TP_IO, "the terminal: %s", strerror (errno));
  struct termios usual;
  if (tcgetpgrp (descriptor) == getpgrp () && !tcgetattr (descriptor, &usual))
    {
      /* The answer comes as if it were typed: unseen, and without a newline. */
      struct termios quiet = usual;
      quiet.c_lflag &= ~(tcflag_t) (ICANON | ECHO);
      quiet.c_cc[VMIN] = 1;
      quiet.c_cc[VTIME] = 0;
      tcsetattr (descriptor, TCSADRAIN, &quiet);
      if (!keys_wait (descriptor)
          && write (descriptor, question, strlen (question)) == (ssize_t) strlen (question))
        read_answer (descriptor, last, milliseconds_now () + milliseconds, answer, room);
      tcsetattr (descriptor, TCSADRAIN, &usual);
    }
  close (descriptor);
  return TP_OK;
}

/* --- Drawing ------------------------------------------------------------- */

static ChafaPixelMode
pixel_mode (tp_picture_kind kind)
{
  switch (kind)
    {
    case TP_KITTY: return CHAFA_PIXEL_MODE_KITTY;
    case TP_ITERM: return CHAFA_PIXEL_MODE_ITERM2;
    case TP_SIXEL: return CHAFA_PIXEL_MODE_SIXELS;
    default: return CHAFA_PIXEL_MODE_SYMBOLS;
    }
}

static ChafaCanvasMode
canvas_mode (tp_terminal terminal)
{
  if (pixel_mode (terminal.kind) != CHAFA_PIXEL_MODE_SYMBOLS || terminal.colours > 256)
    return CHAFA_CANVAS_MODE_TRUECOLOR;
  /* The first 16 of 256 are as the user likes them, so unknown. */
  return terminal.colours == 256 ? CHAFA_CANVAS_MODE_INDEXED_240
         : terminal.colours == 16 ? CHAFA_CANVAS_MODE_INDEXED_16
                                  : CHAFA_CANVAS_MODE_FGBG;
}

static ChafaCanvas *
make_canvas (tp_terminal terminal, int rows, int columns, int cell_height, int cell_width)
{
  ChafaCanvasConfig *config = chafa_canvas_config_new ();
  chafa_canvas_config_set_geometry (config, columns, rows);
  chafa_canvas_config_set_cell_geometry (config, cell_width, cell_height);
  chafa_canvas_config_set_pixel_mode (config, pixel_mode (terminal.kind));
  chafa_canvas_config_set_canvas_mode (config, canvas_mode (terminal));
  /* What is black stays black: windows are chosen by who draws. */
  chafa_canvas_config_set_preprocessing_enabled (config, FALSE);
  if (terminal.kind == TP_SYMBOLS || terminal.kind == TP_ASCII)
    {
      ChafaSymbolMap *symbols = chafa_symbol_map_new ();
      chafa_symbol_map_add_by_tags (symbols, CHAFA_SYMBOL_TAG_SPACE
                                    | (terminal.kind == TP_ASCII ? CHAFA_SYMBOL_TAG_ASCII
                                       : CHAFA_SYMBOL_TAG_SOLID | CHAFA_SYMBOL_TAG_HALF
                                         | CHAFA_SYMBOL_TAG_QUAD));
      chafa_canvas_config_set_symbol_map (config, symbols);
      chafa_symbol_map_unref (symbols);
    }
  ChafaCanvas *canvas = chafa_canvas_new (config);
  chafa_canvas_config_unref (config);
  return canvas;
}

/* On a ground that is as the user likes it: to be read on black and on white. */
#define LABEL_COLOUR 0x8a8a8a

static void
put_label (ChafaCanvas *canvas, const tp_label *label, int rows, int columns)
{
  if (label->row < 0 || label->row >= rows || !g_utf8_validate (label->text, -1, NULL))
    return;
  int column = label->column;
  for (const char *c = label->text; *c && column < columns; c = g_utf8_next_char (c))
    {
      gunichar character = g_utf8_get_char (c);
      if (column < 0 || !g_unichar_isprint (character))
        continue;
      chafa_canvas_set_colors_at (canvas, column, label->row, LABEL_COLOUR, -1);
      int cells = chafa_canvas_set_char_at (canvas, column, label->row, character);
      column += cells > 0 ? cells : 1;
    }
}

char *
tp_terminal_picture (const uint32_t *pixels, int width, int height, tp_terminal terminal,
                     int rows, int columns, int cell_height, int cell_width,
                     const tp_label *labels, int label_count)
{
  enum { MOST_CELLS = 4096, MOST_PIXELS = 16384, LARGEST_CELL = 256 };
  if (width < 1 || height < 1 || width > MOST_PIXELS || height > MOST_PIXELS)
    {
      tp_fail (TP_BAD_SHAPE, "picture: expected 1 to %d pixels a side, got %d x %d", MOST_PIXELS,
               height, width);
      return NULL;
    }
  if (rows < 1 || columns < 1 || rows > MOST_CELLS || columns > MOST_CELLS || cell_height < 1
      || cell_width < 1 || cell_height > LARGEST_CELL || cell_width > LARGEST_CELL)
    {
      tp_fail (TP_BAD_ARGUMENT, "cells: expected 1 to %d a side, of 1 to %d pixels, got %d x %d of"
               " %d x %d", MOST_CELLS, LARGEST_CELL, rows, columns, cell_height, cell_width);
      return NULL;
    }
  /* Sixels come six rows at a time: the last few are not drawn, rather than all
   * made narrower. */
  if (terminal.kind == TP_SIXEL && height == rows * cell_height && height >= 6)
    height -= height % 6;
  /* No thread of another's beside ours. */
  chafa_set_n_threads (1);
  ChafaCanvas *canvas = make_canvas (terminal, rows, columns, cell_height, cell_width);
  chafa_canvas_draw_all_pixels (canvas,
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
                                CHAFA_PIXEL_BGRA8_PREMULTIPLIED,
#else
                                CHAFA_PIXEL_ARGB8_PREMULTIPLIED,
#endif
                                (const guint8 *) pixels, width, height, 4 * width);
  if (pixel_mode (terminal.kind) == CHAFA_PIXEL_MODE_SYMBOLS)
    for (int i = 0; i < label_count; i++)
      put_label (canvas, &labels[i], rows, columns);
  /* The fallback knows the sequences of every kind. */
  ChafaTermInfo *info = chafa_term_db_get_fallback_info (chafa_term_db_get_default ());
  GString *printed = chafa_canvas_print (canvas, info);
  chafa_term_info_unref (info);
  chafa_canvas_unref (canvas);
  char *text = strdup (printed->str);
  g_string_free (printed, TRUE);
  if (!text)
    tp_fail (TP_NO_MEMORY, "no memory for a picture of %d x %d pixels", height, width);
  return text;
}
