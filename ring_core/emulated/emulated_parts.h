// EmulatedRing and all of its functions: the header that backends include.
#ifndef IORING_RING_CORE_EMULATED_EMULATED_PARTS_H_
#define IORING_RING_CORE_EMULATED_EMULATED_PARTS_H_

#include "ring_core/emulated/emulated_cancel.h"
#include "ring_core/emulated/emulated_close.h"
#include "ring_core/emulated/emulated_control.h"
#include "ring_core/emulated/emulated_deadline.h"
#include "ring_core/emulated/emulated_file.h"
#include "ring_core/emulated/emulated_hooks.h"
#include "ring_core/emulated/emulated_operation.h"
#include "ring_core/emulated/emulated_prepare.h"
#include "ring_core/emulated/emulated_prepare_transfer.h"
#include "ring_core/emulated/emulated_ring.h"
#include "ring_core/emulated/emulated_send_file.h"
#include "ring_core/emulated/emulated_target.h"
#include "ring_core/emulated/emulated_transfer.h"
#include "ring_core/emulated/emulated_turn.h"

#endif  // IORING_RING_CORE_EMULATED_EMULATED_PARTS_H_
