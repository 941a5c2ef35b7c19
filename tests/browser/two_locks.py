"""The program on the golden screenshots: to change it is to draw them anew."""

import asyncio


async def main():
    checking, savings = asyncio.Lock(), asyncio.Lock()

    async def move(first, second):
        async with first:
            await asyncio.sleep(0.5)
            async with second:
                pass

    async with asyncio.TaskGroup() as group:
        group.create_task(move(checking, savings), name="alice")
        group.create_task(move(savings, checking), name="bob")
