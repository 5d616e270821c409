/* terminal.h -- pictures in the form that a terminal shows, through libchafa.
 *
 * What a terminal can do is found out here, and a picture turned into text for
 * it.  The caller decides which of the terminal's ways to use. */
#ifndef TP_TERMINAL_H
#define TP_TERMINAL_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

/* From the most a terminal can do to the least. */
typedef enum { TP_KITTY, TP_ITERM, TP_SIXEL, TP_SYMBOLS, TP_ASCII } tp_picture_kind;

typedef struct {
  tp_picture_kind kind;
  int colours; /* 1 << 24, 256, 16 or 2, of symbols */
} tp_terminal;

/* What the variables of ENVIRONMENT ("NAME=value", last NULL) say: TP_SYMBOLS when
 * they do not promise pixels. */
tp_terminal tp_terminal_detect (char *const *environment);

/* Rows, columns, and their pixels or 0 where nobody knows. */
typedef struct {
  int rows, columns, height, width;
} tp_terminal_size;

/* Of the terminal open as DESCRIPTOR. */
tp_status tp_terminal_measure (int descriptor, tp_terminal_size *size);

/* Write QUESTION to the controlling terminal and read until its answer ends with
 * the byte LAST, at most MILLISECONDS, into ANSWER with room for ROOM bytes.
 * Nothing is asked, and ANSWER is empty, where keys wait to be read, which the
 * answer would be mixed with, or where this is not the foreground. */
tp_status tp_terminal_ask (const char *question, char last, int milliseconds, char *answer,
                           size_t room);

/* Text in the cell (ROW, COLUMN) and those after it, over the picture. */
typedef struct {
  int row, column;
  const char *text; /* UTF-8 */
} tp_label;

/* PIXELS (height, width), words 0xAArrggbb multiplied by their alpha, for TERMINAL,
 * ROWS x COLUMNS cells large; kinds that have pixels take WIDTH and HEIGHT as they
 * are where a cell has CELL_WIDTH x CELL_HEIGHT of them.  LABELS need cells:
 * TP_SYMBOLS and TP_ASCII.  Malloc'd; NULL after tp_fail. */
char *tp_terminal_picture (const uint32_t *pixels, int width, int height, tp_terminal terminal,
                           int rows, int columns, int cell_height, int cell_width,
                           const tp_label *labels, int label_count);

#endif
