package dev.ptq.run;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class OwnerTest {
    private static final Owner HERE = Owner.here();

    /** The label of a process that is gone: now its number belongs to another. */
    static final String DEAD = new Owner(HERE.pid(), HERE.started() + 1, HERE.boot(), HERE.host()).label();

    /** The label of a process of another machine, alive or dead. */
    static final String ELSEWHERE = new Owner(HERE.pid(), HERE.started(), HERE.boot(), "another-host").label();

    @Test
    void isReadFromItsLabel() {
        assertThat(Owner.parse(HERE.label())).contains(HERE);
        assertThat(HERE.label()).startsWith(ProcessHandle.current().pid() + "-").hasSizeLessThan(120);
        assertThat(HERE.label()).isNotEqualTo(HERE.label());
        for (String other : List.of("", "1-x", "12-b2e4", HERE.label() + "/..", "-1-2-3-4-5")) {
            assertThat(Owner.parse(other)).as(other).isEmpty();
        }
    }

    @Test
    void onlyTheSameMachineCanCallAProcessDead() throws Exception {
        assertThat(HERE.dead()).contains(false);
        assertThat(Owner.parse(DEAD).orElseThrow().dead()).contains(true);
        Process process = new ProcessBuilder("true").start();
        process.waitFor();
        assertThat(new Owner(process.pid(), 1, HERE.boot(), HERE.host()).dead()).contains(true);
        assertThat(Owner.parse(ELSEWHERE).orElseThrow().dead()).isEmpty();
        assertThat(new Owner(HERE.pid(), HERE.started(), "ab12", HERE.host()).dead())
                .isEmpty();
    }
}
