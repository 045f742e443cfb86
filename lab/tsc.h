/* SPDX-License-Identifier: MIT */
/*
 * tsc.h - how fast this host's time stamp counter runs, which is the one that guests under TCG read.
 *
 * A guest measures it at boot, against timers that QEMU emulates. On a busy host that goes wrong now and then: Linux takes 120 MHz of the PIT for the
 * 2.6 GHz that the HPET says ("PIT calibration deviates from HPET"), and for the rest of its life that guest's clock runs 22 times too fast. So it is told.
 */
#ifndef SQUALL_LAB_TSC_H
#define SQUALL_LAB_TSC_H

/** @return [kHz], within 0.01 %; 0 where there is none. Measured once, which takes 20 ms. */
unsigned int tsc_khz(void);

#endif
