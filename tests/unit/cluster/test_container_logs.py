from fabric.cluster.container_logs import Entry, newest, parse, read

LINE = "2026-11-23T05:00:00.123456789Z stdout F hello world"


def test_a_cri_line_is_read_back_to_what_was_written():
    assert parse(LINE) == Entry("2026-11-23T05:00:00.123456789Z", "stdout", "hello world", whole=True)
    assert parse("t stderr P part").whole is False
    assert parse("t stdout F ").text == ""


def test_the_newest_log_is_the_one_of_the_last_start(tmp_path):
    for name in ("2.log", "10.log", "9.log", "x.log"):
        (tmp_path / name).write_text("")
    assert newest(tmp_path) == tmp_path / "10.log"


def test_a_half_written_line_is_left_for_the_next_look(tmp_path):
    (tmp_path / "0.log").write_text(f"{LINE}\n{LINE[:20]}")
    assert len(list(read(tmp_path, follow=False, ended=lambda: True))) == 1


def test_following_goes_over_to_the_log_of_a_restarted_container(tmp_path):
    (tmp_path / "0.log").write_text(f"{LINE} 1\n")
    looks = []

    def ended():
        looks.append(None)
        if len(looks) == 2:
            (tmp_path / "1.log").write_text(f"{LINE} 2\n")
        return len(looks) > 3

    texts = [entry.text for entry in read(tmp_path, follow=True, ended=ended)]
    assert texts == ["hello world 1", "hello world 2"]


def test_following_goes_over_to_a_fresh_file_when_the_log_was_full(tmp_path):
    log = tmp_path / "1.log"
    (tmp_path / "0.log").write_text(f"{LINE} of the first start\n")
    log.write_text(f"{LINE} 1\n")
    looks = []

    def ended():
        looks.append(None)
        if len(looks) == 2:
            with log.open("a") as file:
                file.write(f"{LINE} 2\n")
            log.rename(tmp_path / "1.log.20261123-050000")
        if len(looks) == 4:
            log.write_text(f"{LINE} 3\n")
        return len(looks) > 6

    texts = [entry.text for entry in read(tmp_path, follow=True, ended=ended)]
    assert texts == ["hello world 1", "hello world 2", "hello world 3"]
