/* gif.h -- animated GIF, through giflib.
 *
 * Each frame has its own table of 256 colours.  A frame with no more than that, such
 * as an image in one colour map, is exact; in others similar colours are merged. */
#ifndef TP_GIF_H
#define TP_GIF_H

#include "core/status.h"

#include <stdint.h>

typedef struct tp_gif tp_gif;

/* Begin an animation of HEIGHT x WIDTH pixels in the file PATH, played LOOPS times, 0
 * for ever.  NULL after tp_fail. */
tp_gif *tp_gif_open (const char *path, int height, int width, int loops);

/* The frame PIXELS, words 0xFFrrggbb, shown for MILLISECONDS, to the hundredth of
 * a second. */
tp_status tp_gif_add (tp_gif *g, const uint32_t *pixels, int milliseconds);

/* STATUS says whether all frames are there: the file appears whole then, and
 * otherwise not.  Frees G.  Returns STATUS, or the failure of writing. */
tp_status tp_gif_close (tp_gif *g, tp_status status);

#endif
