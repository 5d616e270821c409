/* webp.h -- animated WebP, through libwebp. */
#ifndef TP_WEBP_H
#define TP_WEBP_H

#include "core/status.h"

#include <stdint.h>

typedef struct tp_webp tp_webp;

/* Begin an animation of HEIGHT x WIDTH pixels in the file PATH, played LOOPS times, 0
 * for ever.  QUALITY from 0 to 100 is libwebp's; below 0 nothing is lost.  NULL
 * after tp_fail. */
tp_webp *tp_webp_open (const char *path, int height, int width, int loops, double quality);

/* The frame PIXELS, words 0xFFrrggbb, shown for MILLISECONDS. */
tp_status tp_webp_add (tp_webp *w, const uint32_t *pixels, int milliseconds);

/* STATUS says whether all frames are there: the file appears whole then, and
 * otherwise not.  Frees W.  Returns STATUS, or the failure of writing. */
tp_status tp_webp_close (tp_webp *w, tp_status status);

#endif
