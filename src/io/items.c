/* items.c -- lists of arrays. */
#include "io/items.h"

#include <stdlib.h>
#include <string.h>

tp_item *
tp_items_of_one (const tp_item *item)
{
  tp_item *items = malloc (sizeof *items);
  char *name = strdup ("");
  if (!items || !name)
    {
      free (items);
      free (name);
      tp_fail (TP_NO_MEMORY, "no memory for the description of an array");
      return NULL;
    }
  *items = *item;
  items->name = name;
  return items;
}

void
tp_items_free (tp_item *items, int count)
{
  for (int i = 0; items && i < count; i++)
    free (items[i].name);
  free (items);
}
