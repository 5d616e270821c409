#include "check.h"
static void t (void) { CHECK (1); }
CHECK_MAIN (t)
