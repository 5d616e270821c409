/* items.h -- the arrays that a file holds, by what its headers say. */
#ifndef TP_ITEMS_H
#define TP_ITEMS_H

#include "tensor/tensor.h"

typedef struct {
  char *name; /* empty in a file of one array */
  char kind;  /* 'f', 'i' (integers, booleans too), 'c' (complex), 's' (text), '?' (others) */
  int size;   /* bytes a number, of a complex one both */
  int rank;
  int64_t shape[TP_MAX_RANK];
} tp_item;

/* One ITEM, without a name, as a list that tp_items_free frees; NULL after tp_fail. */
tp_item *tp_items_of_one (const tp_item *item);
void tp_items_free (tp_item *items, int count);

#endif
