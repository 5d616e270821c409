/* test-pictures.c -- colours, pictures for terminals, animations decoded again. */
#include <fcntl.h>
#include <gif_lib.h>
#include <pty.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <webp/demux.h>

#include "check.h"
#include "image/pixels.h"
#include "io/gif.h"
#include "io/terminal.h"
#include "io/webp.h"

/* --- Colours -------------------------------------------------------------- */

static tp_tensor *
numbers (int rank, const int64_t *shape, const float *values)
{
  tp_tensor *t = tp_tensor_create (TP_F32, rank, shape);
  memcpy (tp_f32 (t), values, (size_t) tp_tensor_count (t) * sizeof *values);
  return t;
}

static void
test_pixels (void)
{
  uint32_t table[256], pixels[6];
  for (uint32_t i = 0; i < 256; i++)
    table[i] = 0xff000000u | i << 16 | i;
  tp_tensor *t = numbers (2, (int64_t[]) { 2, 3 }, (float[]) { -1, 0, 0.5f, 1, 9, NAN });
  CHECK (tp_pixels (t, 0, 1, table, pixels) == TP_OK);
  CHECK (pixels[0] == table[0] && pixels[1] == table[0] && pixels[2] == table[128]);
  CHECK (pixels[3] == table[255] && pixels[4] == table[255] && pixels[5] == table[0]);
  CHECK_FAILS (TP_BAD_ARGUMENT, tp_pixels (t, 1, 1, table, pixels));
  CHECK_FAILS (TP_BAD_ARGUMENT, tp_pixels (t, 0, NAN, table, pixels));
  tp_tensor_free (t);
  t = numbers (3, (int64_t[]) { 1, 2, 3 }, (float[]) { 0, 255, 51, 1, 2, 3 });
  CHECK (tp_pixels (t, 0, 255, table, pixels) == TP_OK);
  CHECK (pixels[0] == 0xff00ff33u && pixels[1] == 0xff010203u);
  tp_tensor_free (t);
  t = numbers (1, (int64_t[]) { 2 }, (float[]) { 0, 1 });
  CHECK_FAILS (TP_BAD_SHAPE, tp_pixels (t, 0, 1, table, pixels));
  tp_tensor_free (t);
}

/* --- Terminals ------------------------------------------------------------ */

static tp_terminal
detected (const char *a, const char *b)
{
  char *environment[] = { (char *) a, (char *) b, NULL };
  return tp_terminal_detect (environment);
}

static void
test_detection (void)
{
  CHECK (detected ("TERM=xterm-kitty", NULL).kind == TP_KITTY);
  CHECK (detected ("TERM=xterm-256color", "LC_TERMINAL=iTerm2").kind == TP_ITERM);
  CHECK (detected ("TERM=mlterm", NULL).kind == TP_SIXEL);
  CHECK (detected ("TERM=xterm", NULL).kind == TP_SYMBOLS);
  CHECK (detected (NULL, NULL).kind == TP_SYMBOLS);
  CHECK (detected ("TERM=linux", NULL).colours == 16);
  CHECK (detected ("TERM=xterm-256color", "COLORTERM=truecolor").colours == 1 << 24);
}

/* Left half white, right half black, 32 x 32. */
static const uint32_t *
halves (void)
{
  static uint32_t pixels[32 * 32];
  for (int i = 0; i < 32 * 32; i++)
    pixels[i] = i % 32 < 16 ? 0xffffffffu : 0xff000000u;
  return pixels;
}

static char *
drawn (tp_picture_kind kind, int colours, const tp_label *labels, int count)
{
  return tp_terminal_picture (halves (), 32, 32, (tp_terminal) { kind, colours }, 2, 4, 16, 8,
                              labels, count);
}

static bool
begins (const char *text, const char *start)
{
  return text && !strncmp (text, start, strlen (start));
}

static int
count_of (char character, const char *text)
{
  int count = 0;
  for (; *text; text++)
    count += *text == character;
  return count;
}

static void
test_pictures (void)
{
  char *text = drawn (TP_SYMBOLS, 2, NULL, 0);
  CHECK (text && !strcmp (text, "██  \n██  "));
  free (text);
  text = drawn (TP_SYMBOLS, 1 << 24, NULL, 0);
  CHECK (text && strstr (text, "255;255;255") && count_of ('\n', text) == 1);
  free (text);
  text = drawn (TP_SYMBOLS, 256, NULL, 0);
  CHECK (text && strstr (text, ";5;231") && !strstr (text, ";2;"));
  free (text);
  text = drawn (TP_ASCII, 2, NULL, 0);
  for (const char *c = text; c && *c; c++)
    if ((unsigned char) *c > 126)
      CHECK (!"ASCII");
  CHECK (text && text[0] != ' ' && text[2] == ' ' && count_of ('\n', text) == 1);
  free (text);
  text = drawn (TP_SIXEL, 256, NULL, 0);
  CHECK (begins (text, "\033P") && strchr (text, 'q') && strstr (text, "\"1;1;32;30"));
  CHECK (text && !strcmp (text + strlen (text) - 2, "\033\\"));
  free (text);
  text = drawn (TP_KITTY, 256, NULL, 0);
  CHECK (begins (text, "\033_G") && strstr (text, "s=32,v=32,c=4,r=2"));
  free (text);
  text = drawn (TP_ITERM, 256, NULL, 0);
  CHECK (begins (text, "\033]1337;File="));
  free (text);
}

static void
test_labels (void)
{
  /* Cut at the edge, without what would move the cursor; off the picture, nothing. */
  const tp_label labels[] = { { 0, 2, "\033ab\ncd" }, { 1, -1, "xy" }, { 2, 0, "below" },
                              { 1, 2, "\xff\xfe" } };
  char *text = drawn (TP_SYMBOLS, 2, labels, 4);
  CHECK (text && !strcmp (text, "██ab\n██  "));
  free (text);
}

static void
test_hostile_sizes (void)
{
  const tp_terminal symbols = { TP_SYMBOLS, 2 };
  CHECK (!tp_terminal_picture (halves (), 0, 32, symbols, 2, 4, 16, 8, NULL, 0));
  CHECK (tp_last_status () == TP_BAD_SHAPE);
  CHECK (!tp_terminal_picture (halves (), 32, 1 << 30, symbols, 2, 4, 16, 8, NULL, 0));
  CHECK (!tp_terminal_picture (halves (), 32, 32, symbols, 0, 4, 16, 8, NULL, 0));
  CHECK (tp_last_status () == TP_BAD_ARGUMENT);
  CHECK (!tp_terminal_picture (halves (), 32, 32, symbols, 2, 1 << 20, 16, 8, NULL, 0));
  CHECK (!tp_terminal_picture (halves (), 32, 32, symbols, 2, 4, -1, 8, NULL, 0));
  tp_terminal_size size;
  CHECK_FAILS (TP_IO, tp_terminal_measure (-1, &size));
}

/* --- A terminal that answers ------------------------------------------------ */

/* In a child whose terminal is MASTER's other end: 0 when the answer is right. */
static int
ask_in_child (bool typed)
{
  char answer[64];
  if (typed)
    usleep (200000); /* until the parent has typed */
  tp_terminal_size size;
  if (tp_terminal_measure (0, &size) != TP_OK || size.rows != 40 || size.width != 900)
    return 2;
  if (tp_terminal_ask ("\033[c", 'c', 5000, answer, sizeof answer) != TP_OK)
    return 3;
  return strcmp (answer, typed ? "" : "\033[?62;4c") ? 4 : 0;
}

static void
test_asking (void)
{
  for (int typed = 0; typed < 2; typed++)
    {
      int master;
      struct winsize size = { .ws_row = 40, .ws_col = 100, .ws_xpixel = 900, .ws_ypixel = 800 };
      pid_t child = forkpty (&master, NULL, NULL, &size);
      if (child < 0)
        return; /* no pseudo terminals here */
      if (!child)
        _exit (ask_in_child (typed));
      char question[3];
      if (typed)
        CHECK (write (master, "keys\n", 5) == 5);
      else
        {
          CHECK (read (master, question, 3) == 3 && !memcmp (question, "\033[c", 3));
          CHECK (write (master, "\033[?62;4ctyped", 13) == 13);
        }
      int status;
      waitpid (child, &status, 0);
      CHECK (WIFEXITED (status) && WEXITSTATUS (status) == 0);
      close (master);
    }
}

/* --- Animations ------------------------------------------------------------- */

enum { HEIGHT = 21, WIDTH = 34, FRAMES = 3 };
static char folder[] = "/tmp/tempera-seeing-XXXXXX";

static const char *
path_of (const char *name)
{
  static char paths[4][128];
  static int next;
  char *path = paths[next++ % 4];
  snprintf (path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

/* 256 levels of a colour map of its own for each frame. */
static const uint32_t *
frame (int k)
{
  static uint32_t pixels[HEIGHT * WIDTH];
  for (int i = 0; i < HEIGHT * WIDTH; i++)
    {
      uint32_t level = (uint32_t) (i * 7 + 31 * k) & 255;
      pixels[i] = 0xff000000u | level << 16 | (255 - level) << 8 | (uint32_t) (k * 40);
    }
  return pixels;
}

static bool
webp_has_frames (const char *path, int loops)
{
  static uint8_t bytes[1 << 20];
  FILE *file = fopen (path, "rb");
  if (!file)
    return false;
  WebPData data = { bytes, fread (bytes, 1, sizeof bytes, file) };
  fclose (file);
  WebPAnimDecoderOptions options;
  WebPAnimDecoderOptionsInit (&options);
  options.color_mode = MODE_BGRA; /* words 0xAARRGGBB, on little-endian machines */
  WebPAnimDecoder *decoder = WebPAnimDecoderNew (&data, &options);
  WebPAnimInfo info;
  bool same = decoder && WebPAnimDecoderGetInfo (decoder, &info) && info.frame_count == FRAMES
              && (int) info.loop_count == loops && info.canvas_width == WIDTH;
  for (int k = 0; same && k < FRAMES; k++)
    {
      uint8_t *pixels;
      int end;
      same = WebPAnimDecoderGetNext (decoder, &pixels, &end) && end == 40 * (k + 1);
      for (int i = 0; same && i < HEIGHT * WIDTH; i++)
        same = (pixels[4 * i] | pixels[4 * i + 1] << 8 | pixels[4 * i + 2] << 16)
               == (int) (frame (k)[i] & 0xffffff);
    }
  WebPAnimDecoderDelete (decoder);
  return same;
}

/* The greatest difference of a colour of frame K in FILE to FRAME; 256 when it is none. */
static int
gif_error (const GifFileType *file, int k, const uint32_t *pixels)
{
  const SavedImage *image = &file->SavedImages[k];
  const ColorMapObject *map = image->ImageDesc.ColorMap;
  if (!map || image->ImageDesc.Width != WIDTH || image->ImageDesc.Height != HEIGHT)
    return 256;
  int greatest = 0;
  for (int i = 0; i < HEIGHT * WIDTH; i++)
    {
      const GifColorType *c = &map->Colors[image->RasterBits[i]];
      const int there[3] = { c->Red, c->Green, c->Blue };
      for (int channel = 0; channel < 3; channel++)
        {
          int error = abs (there[channel] - (int) (pixels[i] >> (16 - 8 * channel) & 255));
          greatest = error > greatest ? error : greatest;
        }
    }
  return greatest;
}

static GifFileType *
read_gif (const char *path)
{
  int code;
  GifFileType *file = DGifOpenFileName (path, &code);
  if (file && DGifSlurp (file) != GIF_OK)
    {
      DGifCloseFile (file, &code);
      file = NULL;
    }
  return file;
}

static void
test_webp (void)
{
  CHECK (mkdtemp (folder) != NULL);
  const char *path = path_of ("a.webp");
  tp_webp *w = tp_webp_open (path, HEIGHT, WIDTH, 2, -1);
  tp_status status = TP_OK;
  for (int k = 0; w && status == TP_OK && k < FRAMES; k++)
    status = tp_webp_add (w, frame (k), 40);
  CHECK (w && tp_webp_close (w, status) == TP_OK);
  CHECK (webp_has_frames (path, 2));

  /* Given up: the file that was there stays. */
  w = tp_webp_open (path, HEIGHT, WIDTH, 0, 80);
  CHECK (w && tp_webp_add (w, frame (1), 40) == TP_OK);
  CHECK (w && tp_webp_close (w, TP_IO) == TP_IO);
  CHECK (webp_has_frames (path, 2));

  CHECK (!tp_webp_open (path, 0, 4, 0, -1) && tp_last_status () == TP_BAD_SHAPE);
  CHECK (!tp_webp_open (path, 4, 16384, 0, -1) && tp_last_status () == TP_BAD_SHAPE);
  CHECK (!tp_webp_open (path, 4, 4, 0, 101));
  CHECK (!tp_webp_open ("/nowhere/a.webp", 4, 4, 0, -1) && tp_last_status () == TP_IO);
  w = tp_webp_open ("/dev/full", HEIGHT, WIDTH, 0, -1);
  CHECK (w && tp_webp_add (w, frame (0), 40) == TP_OK);
  CHECK_FAILS (TP_NO_SPACE, w ? tp_webp_close (w, TP_OK) : TP_OK);
  unlink (path);
}

static void
test_gif (void)
{
  const char *path = path_of ("a.gif");
  tp_gif *g = tp_gif_open (path, HEIGHT, WIDTH, 3);
  tp_status status = TP_OK;
  for (int k = 0; g && status == TP_OK && k < FRAMES; k++)
    status = tp_gif_add (g, frame (k), 33);
  CHECK (g && tp_gif_close (g, status) == TP_OK);
  GifFileType *file = read_gif (path);
  CHECK (file && file->ImageCount == FRAMES && file->SWidth == WIDTH);
  int hundredths = 0;
  for (int k = 0; file && k < file->ImageCount; k++)
    {
      GraphicsControlBlock control;
      CHECK (gif_error (file, k, frame (k)) == 0);
      CHECK (DGifSavedExtensionToGCB (file, k, &control) == GIF_OK);
      hundredths += control.DelayTime;
    }
  CHECK (hundredths == 10); /* 99 ms */
  /* Twice more. */
  CHECK (file && file->SavedImages[0].ExtensionBlockCount == 3
         && !memcmp (file->SavedImages[0].ExtensionBlocks[0].Bytes, "NETSCAPE2.0", 11)
         && file->SavedImages[0].ExtensionBlocks[1].Bytes[1] == 2);
  int code;
  if (file)
    DGifCloseFile (file, &code);

  CHECK (!tp_gif_open (path, 4, 65536, 0) && tp_last_status () == TP_BAD_SHAPE);
  CHECK (!tp_gif_open ("/nowhere/a.gif", 4, 4, 0) && tp_last_status () == TP_IO);
  g = tp_gif_open ("/dev/full", HEIGHT, WIDTH, 0);
  CHECK (g && tp_gif_add (g, frame (0), 40) == TP_OK);
  CHECK_FAILS (TP_NO_SPACE, g ? tp_gif_close (g, TP_OK) : TP_OK);
  g = tp_gif_open (path, HEIGHT, WIDTH, 0);
  CHECK_FAILS (TP_BAD_ARGUMENT, tp_gif_add (g, frame (0), 0));
  CHECK (tp_gif_close (g, TP_IO) == TP_IO);
  unlink (path);
}

static void
test_gif_of_many_colours (void)
{
  uint32_t pixels[HEIGHT * WIDTH];
  for (uint32_t i = 0; i < HEIGHT * WIDTH; i++)
    pixels[i] = 0xff000000u | (i % WIDTH * 7) << 16 | (i / WIDTH * 12) << 8;
  const char *path = path_of ("b.gif");
  tp_gif *g = tp_gif_open (path, HEIGHT, WIDTH, 1);
  CHECK (g && tp_gif_add (g, pixels, 100) == TP_OK);
  CHECK (g && tp_gif_close (g, TP_OK) == TP_OK);
  GifFileType *file = read_gif (path);
  /* 714 colours, 7 and 12 apart, in 256 boxes: three to a box, in a row at worst. */
  CHECK (file && gif_error (file, 0, pixels) <= 36);
  CHECK (file && file->SavedImages[0].ExtensionBlockCount == 1); /* once: no loop */
  int code;
  if (file)
    DGifCloseFile (file, &code);
  unlink (path);
  CHECK (!rmdir (folder)); /* and nothing else was left */
}

CHECK_MAIN (test_pixels, test_detection, test_pictures, test_labels, test_hostile_sizes,
            test_asking, test_webp, test_gif, test_gif_of_many_colours)
