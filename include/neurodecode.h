/** @file neurodecode.h
 *  @brief Everything: includes every public header and declares nothing itself. */
#ifndef NEURODECODE_H
#define NEURODECODE_H

#include "neurodecode/common.h"
#include "neurodecode/file.h"
#include "neurodecode/dataset.h"
#include "neurodecode/recording.h"
#include "neurodecode/bank.h"
#include "neurodecode/encoder.h"
#include "neurodecode/loss.h"
#include "neurodecode/train.h"
#include "neurodecode/cross.h"
#include "neurodecode/retrieval.h"
#include "neurodecode/preparation.h"
#include "neurodecode/simulate.h"

#endif
